// Signed registrations and durable claims through HTTP, 64 connections, on both stores; beside them
// the naive claim (one commit each) and pgbench with the statements of a claim.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Postgres } from '../../tests/support/postgres.mjs';
import { bun, nave, removeDirectories, temporaryDirectory } from '../lib/peers.mjs';
import { freePort, startPeer } from '../lib/process.mjs';
import { ms, printTable, thousands, times } from '../lib/table.mjs';
import { wrk } from '../lib/wrk.mjs';

const run = promisify(execFile);
const kHere = path.dirname(fileURLToPath(import.meta.url));
const kRegistrations = 30_000;
const kOneTimeKeys = 20;
const kSeconds = 5;
// Short, or devices run out of one-time keys and their bundles come cheaper.
const kClaimSeconds = 2;
const kRounds = 3;
const kDatabaseConnections = 16; // the default of NAVE_DATABASE_CONNECTIONS

const claimUrl = (base) => `${base}/v1/keys/bundle/bench-0:1`;
const script = (name) => path.join(kHere, name);


// Devices bench-0 to bench-<count - 1> are registered when it returns: wrk asks its script for a few
// requests that it never sends.
async function fillGaps(url, file, count) {
    const lines = readline.createInterface({ input: fs.createReadStream(file) });
    let index = 0;
    for await (const body of lines) {
        if (index >= count) {
            break;
        }
        const known = await fetch(`${url}/v1/keys/identity/bench-${index}:1`);
        await known.arrayBuffer();
        if (known.status === 404) {
            const headers = { 'Content-Type': 'application/json' };
            const done = await fetch(`${url}/v1/keys/register`, { method: 'POST', headers, body });
            if (!done.ok) {
                throw new Error(`bench-${index}: ${await done.text()}`);
            }
        }
        index += 1;
    }
}

async function registrations(server, file) {
    const measured = await wrk(server.url, server.child.pid, {
        seconds: kSeconds,
        script: script('register.lua'),
        env: { BENCH_FILE: file },
    });
    await fillGaps(server.url, file, measured.requests);
    return { ...measured, devices: measured.requests };
}

const claims = (server, devices, round) =>
    wrk(claimUrl(server.url), server.child.pid, {
        seconds: kClaimSeconds,
        script: script('claim.lua'),
        env: { BENCH_DEVICES: String(devices), BENCH_SEED: String(round) },
    });

async function pgbench(url, devices) {
    const { stdout } = await run('pgbench', [
        ...['-n', '-M', 'prepared', '-c', String(kDatabaseConnections), '-j', '1'],
        ...['-T', String(kClaimSeconds), '-D', `devices=${devices}`, '-f', script('claim.pgbench'), url],
    ]);
    return Number(/tps = ([\d.]+)/.exec(stdout)[1]);
}

async function onSqlite(file) {
    const directory = temporaryDirectory();
    const server = await nave();
    const registered = await registrations(server, file);
    const { devices } = registered;
    const port = await freePort();
    const naiveUrl = `http://127.0.0.1:${port}`;
    const database = path.join(directory, 'naive.db');
    const naive = await startPeer(
        bun(),
        [script('naive_claims.mjs'), port, database, devices, kOneTimeKeys],
        `${naiveUrl}/healthz`,
    );
    const rounds = [];
    for (let round = 0; round < kRounds; round += 1) {
        const peer = await wrk(claimUrl(naiveUrl), naive.pid, {
            seconds: kClaimSeconds,
            script: script('claim.lua'),
            env: { BENCH_DEVICES: String(devices), BENCH_SEED: String(round) },
        });
        rounds.push({ ours: await claims(server, devices, round), peer: peer.perSecond });
    }
    await naive.stop();
    await server.finish();
    return { registered, rounds };
}

async function onPostgres(file) {
    const postgres = await Postgres.start();
    const url = await postgres.createDatabase();
    const server = await nave({ SHADE_PREKEY_PG_URL: url });
    const registered = await registrations(server, file);
    const { devices } = registered;
    const rounds = [];
    for (let round = 0; round < kRounds; round += 1) {
        const peer = await pgbench(url, devices);
        rounds.push({ ours: await claims(server, devices, round), peer });
    }
    await server.finish();
    await postgres.finish();
    return { registered, rounds };
}

function claimRow(store, peerName, rounds) {
    const byRatio = [...rounds].sort((a, b) => a.ours.perSecond / a.peer - b.ours.perSecond / b.peer);
    const ratios = byRatio.map(({ ours, peer }) => ours.perSecond / peer);
    const { ours, peer } = byRatio[Math.floor(kRounds / 2)];
    return [
        store,
        thousands(ours.perSecond),
        thousands(ours.perCpuSecond),
        ms(ours.p50),
        ms(ours.p99),
        `${peerName} ${thousands(peer)}`,
        `${times(ours.perSecond / peer)} (${times(ratios[0])} to ${times(ratios.at(-1))})`,
    ];
}

const registrationRow = (store, measured) => [
    store,
    thousands(measured.perSecond),
    thousands(measured.perCpuSecond),
    ms(measured.p50),
    ms(measured.p99),
];

export async function measurePrekeys() {
    const file = path.join(temporaryDirectory(), 'registrations');
    await run(process.execPath, [script('registrations.mjs'), file, kRegistrations, kOneTimeKeys]);
    const sqlite = await onSqlite(file);
    const postgres = await onPostgres(file);
    removeDirectories();
    printTable(
        `Signed registrations with ${kOneTimeKeys} one-time keys, 64 connections`,
        ['store', 'registrations/s', 'per CPU-second', 'p50 ms', 'p99 ms'],
        [registrationRow('SQLite', sqlite.registered), registrationRow('PostgreSQL', postgres.registered)],
    );
    printTable(
        'Durable claims (bundle with a one-time key, committed before the answer), 64 connections',
        ['store', 'claims/s', 'per CPU-second', 'p50 ms', 'p99 ms', 'peer claims/s', 'Nave is'],
        [
            claimRow('SQLite', 'one commit each, Bun:', sqlite.rounds),
            claimRow('PostgreSQL', 'pgbench:', postgres.rounds),
        ],
    );
}
