// Prometheus, the node exporter and promtool, as Debian has them: private, on loopback, with data of
// their own.
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after } from 'node:test';
import { freePort } from './ports.mjs';
import { temporaryDirectory, until } from './server.mjs';

export const kMonitoring = fileURLToPath(new URL('../../deploy/monitoring', import.meta.url));

// { code, output } of one run.
export const promtool = (...args) =>
    new Promise((resolve) => {
        execFile('promtool', args, { timeout: 120_000 }, (error, stdout, stderr) =>
            resolve({ code: error ? (error.code ?? -1) : 0, output: stdout + stderr }),
        );
    });

const running = new Set();
const killAll = () => running.forEach((child) => child.kill('SIGKILL'));
process.on('exit', killAll);
after(killAll);

// A program that listens at --web.listen-address, answering `ready`.
class Daemon {
    static async start(program, args, ready) {
        let last;
        // The port may be taken between looking and listening.
        for (let attempt = 0; attempt < 3; attempt += 1) {
            const daemon = new Daemon();
            try {
                await daemon.launch(program, args, ready);
                return daemon;
            } catch (error) {
                await daemon.stop();
                last = error;
            }
        }
        throw last;
    }

    async launch(program, args, ready) {
        this.address = `127.0.0.1:${await freePort()}`;
        this.url = `http://${this.address}`;
        this.output = '';
        const child = spawn(program, [`--web.listen-address=${this.address}`, ...args], {
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        this.child = child;
        running.add(child);
        this.exited = new Promise((resolve) => {
            child.on('error', (error) => {
                this.output += String(error);
                this.ended = true;
                running.delete(child);
                resolve();
            });
            child.on('exit', () => {
                this.ended = true;
                running.delete(child);
                resolve();
            });
        });
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding('utf8').on('data', (chunk) => (this.output += chunk));
        }
        await until(
            async () => this.ended || (await fetch(`${this.url}${ready}`)).status === 200,
            { deadlineMs: 60_000, everyMs: 100, what: `${program} answers` },
        );
        if (this.ended) {
            throw new Error(`${program} ended:\n${this.output.slice(-2000)}`);
        }
    }

    async stop() {
        if (!this.ended) {
            this.child?.kill('SIGTERM');
        }
        await this.exited;
    }
}

export const startNodeExporter = () => Daemon.start('prometheus-node-exporter', [], '/metrics');

export class Prometheus {
    // `config` is the file; what it names stands beside it.
    static async start(config) {
        const prometheus = new Prometheus();
        prometheus.data = temporaryDirectory('nave-prometheus');
        prometheus.daemon = await Daemon.start(
            'prometheus',
            [
                `--config.file=${config}`,
                `--storage.tsdb.path=${path.join(prometheus.data, 'tsdb')}`,
                '--log.level=warn',
            ],
            '/-/ready',
        );
        return prometheus;
    }

    async get(pathname, parameters = {}) {
        const query = new URLSearchParams(parameters);
        const response = await fetch(`${this.daemon.url}/api/v1/${pathname}?${query}`);
        const answer = await response.json();
        if (answer.status !== 'success') {
            throw new Error(`${pathname} ${query}: ${answer.error}`);
        }
        return answer.data;
    }

    // [{ metric, value }]; throws when the expression is not PromQL.
    async query(expression) {
        const { resultType, result } = await this.get('query', { query: expression });
        return resultType === 'scalar'
            ? [{ metric: {}, value: Number(result[1]) }]
            : result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    }

    async finish() {
        await this.daemon.stop();
        fs.rmSync(this.data, { recursive: true, force: true });
    }
}

// The vector selectors of a PromQL expression, with their matchers: what it reads.
export function selectorsOf(expression) {
    const bare = expression
        .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ')
        .replace(/\[[^\]]*\]/g, ' ');
    const pattern = /(?<![\w.])([A-Za-z_:][\w:]*)(\{(?:[^}"]|"(?:[^"\\]|\\.)*")*\})?(\s*\()?|"(?:[^"\\]|\\.)*"/g;
    const words = new Set(['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan']);
    return [...bare.matchAll(pattern)]
        .filter(([, name, , call]) => name && !call && !words.has(name.toLowerCase()))
        .map(([, name, matchers]) => ({ name, text: name + (matchers ?? '') }));
}
