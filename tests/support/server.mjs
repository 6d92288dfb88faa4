// Server: the real binary as a child process. Starts, stops, kills and restarts it on the same data
// directory, and keeps every log line. Waiting is always for a condition, with a deadline.
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const kStartDeadlineMs = 60_000;
const kStopDeadlineMs = 60_000;

export const binary = () =>
    path.resolve(kRoot, process.env.NAVE_BIN ?? 'build/release/src/app/nave');

export const temporaryDirectory = (label = 'nave') =>
    fs.mkdtempSync(path.join(os.tmpdir(), `${label}-`));

// The caller's environment without anything that would configure the server.
export function cleanEnvironment(extra = {}) {
    const kept = Object.entries(process.env).filter(
        ([name]) => !/^(SHADE_|NAVE_|DATABASE_URL|REDIS_URL|PORT$|BROKER_)/.test(name),
    );
    return { ...Object.fromEntries(kept), ...extra };
}

// Resolves with the first truthy value of `condition`, asked again and again until the deadline.
export async function until(condition, { deadlineMs = 30_000, everyMs = 20, what } = {}) {
    const end = Date.now() + deadlineMs;
    let lastError;
    for (;;) {
        try {
            const value = await condition();
            if (value) {
                return value;
            }
            lastError = undefined;
        } catch (error) {
            lastError = error;
        }
        if (Date.now() >= end) {
            const subject = what ?? String(condition);
            throw new Error(`not met within ${deadlineMs} ms: ${subject}`, { cause: lastError });
        }
        await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
}

// One run of a command of the binary: { code, stdout, stderr }.
export function runCommand(args, { env = {}, deadlineMs = 60_000, cwd } = {}) {
    return new Promise((resolve) => {
        execFile(
            binary(),
            args,
            { env: cleanEnvironment(env), timeout: deadlineMs, cwd, maxBuffer: 64 << 20 },
            (error, stdout, stderr) => {
                const code = error ? (error.code ?? error.signal ?? -1) : 0;
                resolve({ code, stdout, stderr });
            },
        );
    });
}

// As runCommand, again while the store is still held: PostgreSQL notices only a moment after a
// server has ended that its session is gone.
export async function runWhenFree(args, options) {
    let result;
    await until(
        async () => {
            result = await runCommand(args, options);
            return result.code === 0 || !/is using|stop it first/.test(result.stderr);
        },
        { deadlineMs: 60_000, everyMs: 200, what: 'the store is free' },
    );
    return result;
}

// Servers that a failed test left behind must not outlive the file, nor keep it from ending.
const running = new Set();
const killAll = () => running.forEach((child) => child.kill('SIGKILL'));
process.on('exit', killAll);
// Benchmarks use this file too; a hook would make the test runner report on them.
if (process.argv[1]?.endsWith('.test.mjs')) {
    after(killAll);
}

export class Server {
    // `services` empty serves all. `env` holds the settings; `args` goes at the end of the command,
    // `through` in front of it (a program that runs it, such as prlimit).
    static async start(options = {}) {
        const server = new Server(options);
        try {
            await server.launch();
        } catch (error) {
            server.dispose();
            throw error;
        }
        return server;
    }

    constructor({
        services = ['prekeys'],
        env = {},
        args = [],
        dataDir,
        ready = true,
        through = [],
        listen = '127.0.0.1:0',
    } = {}) {
        this.services = services;
        this.env = env;
        this.args = args;
        this.through = through;
        this.listen = listen;
        this.ownsDataDir = dataDir === undefined;
        this.dataDir = dataDir ?? temporaryDirectory('nave-data');
        this.waitForReady = ready;
        this.lines = []; // { text, json }: of all runs
        this.watchers = new Set();
        this.runStart = 0;
    }

    async launch() {
        if (!fs.existsSync(binary())) {
            throw new Error(`no server binary at ${binary()}: build it or set NAVE_BIN`);
        }
        this.runStart = this.lines.length;
        const args = ['serve', ...this.services];
        args.push('--listen', this.listen, '--data-dir', this.dataDir, ...this.args);
        const [program, ...rest] = [...this.through, binary(), ...args];
        this.child = spawn(program, rest, {
            env: cleanEnvironment(this.env),
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        const child = this.child;
        running.add(child);
        this.exited = new Promise((resolve) => {
            // Not at 'exit': its last lines may still be in the pipe then.
            child.on('close', (code, signal) => {
                running.delete(child);
                this.exit = { code, signal };
                resolve(this.exit);
            });
            child.on('error', (error) => {
                running.delete(child);
                this.exit = { code: -1, error };
                resolve(this.exit);
            });
        });
        this.exit = undefined;
        this.capture(child.stderr);
        this.capture(child.stdout);
        const listening = await this.waitForLog((line) => line.msg === 'listening');
        this.url = `http://${listening.address}`;
        this.port = Number(listening.address.split(':').at(-1));
        if (this.waitForReady) {
            await this.waitForLog((line) => line.msg === 'ready');
        }
        return this;
    }

    capture(stream) {
        let pending = '';
        stream.setEncoding('utf8');
        stream.on('data', (chunk) => {
            const parts = (pending + chunk).split('\n');
            pending = parts.pop();
            parts.forEach((text) => this.addLine(text));
        });
        stream.on('end', () => pending && this.addLine(pending));
    }

    addLine(text) {
        let json = null;
        try {
            json = JSON.parse(text);
        } catch {
            // Kept as text: the log test fails on it.
        }
        this.lines.push({ text, json });
        this.watchers.forEach((watcher) => watcher());
    }

    // Log lines of the current run.
    get log() {
        return this.lines.slice(this.runStart);
    }

    logTail(count = 30) {
        return this.lines
            .slice(-count)
            .map(({ text }) => text)
            .join('\n');
    }

    // The first line of this run that satisfies the predicate, past or future. Rejects when the
    // process ends first.
    waitForLog(predicate, deadlineMs = kStartDeadlineMs) {
        return new Promise((resolve, reject) => {
            let seen = this.runStart;
            let timer;
            const settle = (finish, value) => {
                clearTimeout(timer);
                this.watchers.delete(check);
                finish(value);
            };
            const check = () => {
                for (; seen < this.lines.length; seen += 1) {
                    const { json } = this.lines[seen];
                    if (json && predicate(json)) {
                        settle(resolve, json);
                        return;
                    }
                }
            };
            const failWith = (why) =>
                settle(reject, new Error(`${why}; last log lines:\n${this.logTail()}`));
            timer = setTimeout(() => failWith(`no such log line in ${deadlineMs} ms`), deadlineMs);
            this.watchers.add(check);
            check();
            this.exited?.then((exit) => {
                check();
                if (this.watchers.has(check)) {
                    failWith(`server ended (${JSON.stringify(exit)})`);
                }
            });
        });
    }

    // Graceful stop; resolves with { code, signal }.
    async stop(deadlineMs = kStopDeadlineMs) {
        if (this.exit) {
            return this.exit;
        }
        this.child.kill('SIGTERM');
        const timer = setTimeout(() => this.child.kill('SIGKILL'), deadlineMs);
        const exit = await this.exited;
        clearTimeout(timer);
        return exit;
    }

    async kill() {
        if (!this.exit) {
            this.child.kill('SIGKILL');
            await this.exited;
        }
    }

    async restart(env = undefined) {
        const exit = await this.stop();
        if (exit.code !== 0) {
            throw new Error(`stop before restart: ${JSON.stringify(exit)}\n${this.logTail()}`);
        }
        if (env !== undefined) {
            this.env = env;
        }
        await this.launch();
    }

    // Stops if need be, removes the data directory, and fails unless the exit was clean.
    async finish() {
        const exit = await this.stop();
        this.removeData();
        if (exit.code !== 0) {
            throw new Error(`exit ${JSON.stringify(exit)}; last log lines:\n${this.logTail()}`);
        }
    }

    dispose() {
        this.child?.kill('SIGKILL');
        this.removeData();
    }

    removeData() {
        if (this.ownsDataDir) {
            fs.rmSync(this.dataDir, { recursive: true, force: true });
        }
    }

    // Lines at level error, which no test may cause unless it says so.
    errorLines() {
        return this.lines.filter(({ json }) => /^(error|critical|fatal)$/i.test(json?.level ?? ''));
    }
}
