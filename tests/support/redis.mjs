// A private redis-server for tests, which can be stopped, started again and frozen. In memory only,
// on a free loopback port that it keeps.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { temporaryDirectory, until } from './server.mjs';

const kServer = '/usr/bin/redis-server';

export function redisMissing() {
    return fs.existsSync(kServer) ? undefined : 'redis-server is not installed';
}

function freePort() {
    return new Promise((resolve, reject) => {
        const server = net.createServer();
        server.once('error', reject);
        server.listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export class Redis {
    static async start() {
        const redis = new Redis();
        redis.directory = temporaryDirectory('nave-redis');
        redis.port = await freePort();
        await redis.up();
        return redis;
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
        this.exited = new Promise((resolve) => {
            child.once('exit', () => {
                running.delete(child);
                resolve();
            });
        });
        await until(() => this.answers(), { what: 'redis-server answers', deadlineMs: 15_000 });
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
