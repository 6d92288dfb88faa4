#!/usr/bin/env node
// A stand-in for `systemctl --user` on hosts without systemd: it writes every call down, and runs
// the services of ~/.config/systemd/user as plain processes, by their Environment=,
// EnvironmentFile=, ExecStartPre=, ExecStart=, ExecStop= and StandardOutput=append:. No sandbox, no
// restarts, no ordering.
// State lies in FAKE_SYSTEMD_DIR: `calls`, and UNIT.pid for each started service.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const state = process.env.FAKE_SYSTEMD_DIR;
const units = path.join(process.env.HOME, '.config/systemd/user');
const args = process.argv.slice(2).filter((word) => word !== '--user');
fs.appendFileSync(path.join(state, 'calls'), `systemctl ${process.argv.slice(2).join(' ')}\n`);

// The words of a unit's line: quotes kept together, %% and $$ as one.
const words = (text) =>
    [...text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) =>
        (quoted ?? plain).replaceAll('%%', '%').replaceAll('$$', '$'),
    );

function readUnit(unit) {
    const file = path.join(units, unit);
    if (!fs.existsSync(file)) {
        process.stderr.write(`Unit ${unit} not found.\n`);
        process.exit(5);
    }
    const keys = {};
    for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
        const match = line.match(/^([A-Za-z]+)=(.*)$/);
        if (match) {
            (keys[match[1]] ??= []).push(match[2]);
        }
    }
    return keys;
}

function pidOf(unit) {
    const file = path.join(state, `${unit}.pid`);
    const pid = fs.existsSync(file) ? Number(fs.readFileSync(file, 'utf8')) : 0;
    if (!pid) {
        return 0;
    }
    try {
        const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
        return fields.slice(fields.lastIndexOf(')') + 2, fields.lastIndexOf(')') + 3) === 'Z' ? 0 : pid;
    } catch {
        return 0;
    }
}

// The environment and the log of a service, as its file says.
function surroundings(keys) {
    const env = { ...process.env };
    for (const pair of (keys.Environment ?? []).flatMap(words)) {
        env[pair.slice(0, pair.indexOf('='))] = pair.slice(pair.indexOf('=') + 1);
    }
    for (const raw of keys.EnvironmentFile ?? []) {
        const file = raw.replace(/^-/, '').replaceAll('%%', '%');
        if (raw.startsWith('-') && !fs.existsSync(file)) {
            continue;
        }
        for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
            const match = line.match(/^\s*([A-Za-z_]\w*)=(.*)$/);
            if (match) {
                env[match[1]] = match[2].trim().replace(/^"(.*)"$|^'(.*)'$/, '$1$2');
            }
        }
    }
    const log = (keys.StandardOutput?.[0] ?? 'append:/dev/null').replace('append:', '');
    const output = fs.openSync(log.replaceAll('%%', '%'), 'a');
    return { env, stdio: ['ignore', output, output] };
}

function runAll(lines, options) {
    for (const line of lines ?? []) {
        const [command, ...rest] = words(line.replace(/^-/, ''));
        spawnSync(command, rest, options);
    }
}

function start(unit) {
    const keys = readUnit(unit);
    if (unit.endsWith('.timer') || pidOf(unit)) {
        fs.writeFileSync(path.join(state, `${unit}.on`), '');
        return;
    }
    const options = surroundings(keys);
    runAll(keys.ExecStartPre, options);
    const [command, ...rest] = words(keys.ExecStart[0]);
    const child = spawn(command, rest, { ...options, detached: true });
    child.on('error', () => {});
    fs.writeFileSync(path.join(state, `${unit}.pid`), String(child.pid ?? 0));
    fs.writeFileSync(path.join(state, `${unit}.on`), '');
    child.unref();
}

async function stop(unit) {
    const pid = pidOf(unit);
    if (pid) {
        const keys = readUnit(unit);
        runAll(keys.ExecStop, surroundings(keys));
        if (pidOf(unit)) {
            process.kill(pid, 'SIGTERM');
        }
        const end = Date.now() + 20_000;
        while (pidOf(unit)) {
            if (Date.now() > end) {
                process.kill(pid, 'SIGKILL');
            }
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
    }
    fs.rmSync(path.join(state, `${unit}.pid`), { force: true });
    fs.rmSync(path.join(state, `${unit}.on`), { force: true });
}

const activity = (unit) => {
    if (pidOf(unit) || (unit.endsWith('.timer') && fs.existsSync(path.join(state, `${unit}.on`)))) {
        return 'active';
    }
    return fs.existsSync(path.join(state, `${unit}.on`)) ? 'failed' : 'inactive';
};

const [verb, ...rest] = args;
const named = rest.filter((word) => /\.(service|timer)$/.test(word));
switch (verb) {
    case 'enable':
    case 'start':
        named.forEach(start);
        break;
    case 'restart':
        for (const unit of named) {
            await stop(unit);
            start(unit);
        }
        break;
    case 'disable':
    case 'stop':
        for (const unit of named) {
            await stop(unit);
        }
        break;
    case 'is-active':
        if (!rest.includes('--quiet')) {
            process.stdout.write(`${activity(named[0])}\n`);
        }
        process.exitCode = activity(named[0]) === 'active' ? 0 : 3;
        break;
    case 'show':
        process.stdout.write(`${pidOf(named[0])}\n`);
        break;
    case 'show-environment':
    case 'daemon-reload':
    case 'reset-failed':
        break;
    default:
        process.stderr.write(`fake systemctl: ${args.join(' ')}\n`);
        process.exitCode = 64;
}
