// The load generator: builds it, runs it against a server, and reads that server's processor time
// while it counts.
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../lib/peers.mjs';
import { cpuSeconds } from '../lib/process.mjs';

const run = promisify(execFile);
const kSources = fileURLToPath(new URL('load', import.meta.url));
const kSeconds = 1.5;

let program;

async function built() {
    if (!program || !fs.existsSync(program)) {
        const target = path.join(temporaryDirectory(), 'load');
        const sources = fs.readdirSync(kSources).filter((name) => name.endsWith('.cc'));
        const files = sources.map((name) => path.join(kSources, name));
        await run('clang++-19', ['-std=c++23', '-O2', '-o', target, ...files]);
        program = target;
    }
    return program;
}

async function start(protocol, mode, lines, seconds, inFlight, bytes) {
    const file = path.join(temporaryDirectory(), 'connections');
    fs.writeFileSync(file, (await lines).map((line) => `${line.join('\t')}\n`).join(''));
    const child = spawn(
        await built(),
        [protocol, mode, file, seconds, inFlight, bytes].map(String),
        { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const exited = new Promise((resolve) => {
        child.on('exit', resolve);
        child.on('error', (error) => resolve(error.message));
    });
    const output = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async () => {
        const { value, done } = await output.next();
        if (done) {
            throw new Error(`${protocol} ${mode}: the load ended with ${await exited}`);
        }
        return value;
    };
    return { child, exited, line };
}

// A server under load is { protocol, pids }; the lines are its connections, or a promise of them.
export async function load(server, mode, lines, { inFlight, bytes, seconds = kSeconds }) {
    const { exited, line } = await start(server.protocol, mode, lines, seconds, inFlight, bytes);
    const used = () => server.pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
    await line();
    const before = used();
    const result = JSON.parse(await line());
    const cpu = used() - before;
    await exited;
    return {
        ...result,
        perSecond: result.messages / result.seconds,
        perCpuSecond: result.messages / cpu,
    };
}

// Connects all lines and keeps them until `release` is called: { seconds, release }.
export async function hold(server, lines) {
    const { child, exited, line } = await start(server.protocol, 'hold', lines, 0, 0, 0);
    const { seconds } = JSON.parse(await line());
    const release = async () => {
        child.stdin.end();
        await exited;
    };
    return { seconds, release };
}
