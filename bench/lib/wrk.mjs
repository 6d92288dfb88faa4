// One run of wrk against one server: requests per second, per second of the server's processor
// time, and latencies. An answer other than 2xx fails the run, for a refusal is not a result.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { cpuSeconds } from './process.mjs';

const run = promisify(execFile);
const kUnits = { us: 1e-3, ms: 1, s: 1000, m: 60_000 };

const milliseconds = (text) => {
    const [, number, unit] = /^([\d.]+)(us|ms|s|m)$/.exec(text);
    return Number(number) * kUnits[unit];
};

export async function wrk(url, pid, { connections = 64, seconds = 5, script, env = {} } = {}) {
    const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency'];
    if (script) {
        args.push('-s', script);
    }
    const before = cpuSeconds(pid);
    const { stdout, stderr } = await run('wrk', [...args, url], { env: { ...process.env, ...env } });
    const cpu = cpuSeconds(pid) - before;
    const failure = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(stdout);
    if (failure) {
        throw new Error(`${url}: ${failure[0]}\n${stderr}`);
    }
    const [, requests, elapsed] = /(\d+) requests in ([\d.]+m?s)/.exec(stdout);
    const percentile = (name) => milliseconds(new RegExp(`^ +${name}%\\s+(\\S+)`, 'm').exec(stdout)[1]);
    return {
        requests: Number(requests),
        perSecond: Number(requests) / (milliseconds(elapsed) / 1000),
        perCpuSecond: Number(requests) / cpu,
        p50: percentile('50'),
        p99: percentile('99'),
    };
}

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

// The run in the middle, by throughput.
export const medianRun = (runs) =>
    [...runs].sort((a, b) => a.perSecond - b.perSecond)[Math.floor(runs.length / 2)];
