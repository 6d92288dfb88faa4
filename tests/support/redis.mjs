// A private redis-server for tests, which can be stopped, started again and frozen. In memory only,
// on a free loopback port that it keeps.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { freePort } from './ports.mjs';
import { temporaryDirectory, until } from './server.mjs';

const kServer = '/usr/bin/redis-server';

export function redisMissing() {
    return fs.existsSync(kServer) ? undefined : 'redis-server is not installed';
}

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export class Redis {
    static async start() {
        const redis = new Redis();
        redis.directory = temporaryDirectory('nave-redis');
        for (let tries = 0; ; tries += 1) {
            redis.port = await freePort();
            try {
                await redis.up();
                return redis;
            } catch (error) {
                await redis.down();
                if (tries === 4) {
                    throw error;
                }
            }
        }
    }

    get url() {
        return `redis://127.0.0.1:${this.port}`;
    }

    async up() {
        const listen = ['--port', `${this.port}`, '--bind', '127.0.0.1'];
        const child = spawn(kServer, [...listen, '--save', '', '--dir', this.directory], {
            stdio: 'ignore',
        });
        running.add(child);
        this.child = child;
        let ended = false;
        this.exited = new Promise((resolve) => {
            child.once('exit', () => {
                running.delete(child);
                ended = true;
                resolve();
            });
        });
        await until(() => ended || this.answers(), {
            what: 'redis-server answers',
            deadlineMs: 60_000,
        });
        if (ended) {
            throw new Error(`redis-server ended at once on port ${this.port}`);
        }
    }

    answers() {
        return new Promise((resolve) => {
            const socket = net.connect(this.port, '127.0.0.1');
            socket.once('connect', () => {
                socket.destroy();
                resolve(true);
            });
            socket.once('error', () => resolve(false));
        });
    }

    // As a crash ends it.
    async down() {
        this.child.kill('SIGKILL');
        await this.exited;
    }

    async finish() {
        await this.down();
        fs.rmSync(this.directory, { recursive: true, force: true });
    }
}
