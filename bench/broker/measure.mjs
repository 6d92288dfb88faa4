// The broker: durable direct messages (send to push to ack), broadcast to live peers, hellos, and
// what an idle peer costs.
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Postgres } from '../../tests/support/postgres.mjs';
import { BrokerAdmin, Peer, join, peerKeys } from '../../tests/support/broker_peer.mjs';
import { Server } from '../../tests/support/server.mjs';
import { removeDirectories, temporaryDirectory } from '../lib/peers.mjs';
import { cpuSeconds, residentMegabytes } from '../lib/process.mjs';
import { ms, printTable, thousands } from '../lib/table.mjs';

const run = promisify(execFile);
const kHere = path.dirname(fileURLToPath(import.meta.url));
const kToken = 'a-token-for-the-benchmark';
const kSeconds = 4;
const kIdle = 5_000;
// Pairs of connections and messages in flight on each.
const kShapes = [
    [1, 1],
    [8, 8],
    [1, 64],
    [1, 256],
    [16, 16],
];

async function buildLoad() {
    const program = path.join(temporaryDirectory(), 'broker_load');
    await run('clang++-19', ['-std=c++23', '-O2', '-o', program, path.join(kHere, 'load.cc')]);
    return program;
}

const start = (env = {}) =>
    Server.start({
        services: ['broker'],
        env: {
            BROKER_ADMIN_TOKEN: kToken,
            BROKER_SEND_LIMIT: '10000000/s',
            MAX_CONNECTIONS_PER_MESH: '100000',
            ...env,
        },
    });

// Members by one invite of many uses.
async function members(server, count) {
    const admin = new BrokerAdmin(server.url, kToken);
    const mesh = await admin.createMesh();
    const invite = await admin.invite(mesh, { maxUses: 100_000 });
    const made = [];
    for (let i = 0; i < count; i += 1) {
        const keys = peerKeys();
        const joined = await join(server.url, invite.token, keys.hex, `peer ${i}`);
        made.push({ id: joined.json.memberId, keys, name: `peer ${i}`, mesh });
    }
    return made;
}

// The file the generator reads. Hellos are good for a minute, and no two may be the same.
function writeHellos(file, list) {
    const now = Date.now();
    const lines = list.map((member, index) => {
        const hello = Peer.prototype.helloMessage.call(
            { member, sessionId: `s${index}`, options: {}, session: member.session },
            { timestamp: now + (index % 20_000) },
        );
        return `${member.session?.hex ?? member.keys.hex}\t${JSON.stringify(hello)}`;
    });
    fs.writeFileSync(file, `${lines.join('\n')}\n`);
}

async function load(program, server, mode, list, inFlight, bytes) {
    const file = path.join(temporaryDirectory(), 'hellos');
    writeHellos(file, list);
    const before = cpuSeconds(server.child.pid);
    const { stdout } = await run(program, [
        ...[String(server.port), mode, file, String(kSeconds), String(inFlight), String(bytes)],
    ]);
    const cpu = cpuSeconds(server.child.pid) - before;
    const result = JSON.parse(stdout);
    // The generator warms up for a second that the processor time includes.
    const share = mode === 'hello' ? 1 : kSeconds / (kSeconds + 1);
    return {
        ...result,
        perSecond: result.messages / result.seconds,
        perCpuSecond: result.messages / (cpu * share),
    };
}

async function directRows(program, store, env) {
    const server = await start(env);
    const list = await members(server, 32);
    const rows = [];
    for (const [pairs, inFlight] of kShapes) {
        const result = await load(program, server, 'direct', list.slice(0, 2 * pairs), inFlight, 128);
        rows.push([
            `${store} ${pairs} x ${inFlight}`,
            thousands(result.perSecond),
            thousands(result.perCpuSecond),
            ms(result.p50),
            ms(result.p99),
        ]);
    }
    await server.finish();
    return rows;
}

async function fanoutRow(program, inFlight) {
    const server = await start();
    const list = await members(server, 101);
    const result = await load(program, server, 'fanout', list, inFlight, 128);
    await server.finish();
    return [
        `1 to 100, ${inFlight} in flight`,
        thousands(result.perSecond),
        thousands(result.perSecond * 100),
        thousands(result.perCpuSecond * 100),
    ];
}

async function connectionRows(program) {
    const server = await start({
        NAVE_MAX_CONNECTIONS: '20000',
        NAVE_MAX_CONNECTIONS_PER_CLIENT: '20000',
    });
    // Sessions of few members: what a hello and a socket cost does not depend on whose it is.
    const owners = await members(server, 50);
    const list = Array.from({ length: kIdle }, (_, i) => ({
        ...owners[i % owners.length],
        session: peerKeys(),
    }));
    const before = residentMegabytes(server.child.pid);
    const file = path.join(temporaryDirectory(), 'hellos');
    writeHellos(file, list);
    const holder = spawn(program, [String(server.port), 'hold', file, '0', '0', '0'], {
        stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [line] = await holder.stdout.take(1).toArray();
    const { messages, seconds } = JSON.parse(String(line));
    const each = ((residentMegabytes(server.child.pid) - before) * 1e6) / kIdle;
    holder.stdin.end();
    await new Promise((resolve) => holder.on('exit', resolve));
    await server.finish();
    return [
        ['hellos per second', thousands(messages / seconds)],
        [`memory per idle peer, ${thousands(kIdle)} connected`, `${(each / 1024).toFixed(1)} KiB`],
        ['resident memory before', `${before.toFixed(1)} MB`],
    ];
}

export async function measureBroker() {
    const program = await buildLoad();
    const rows = await directRows(program, 'SQLite', {});
    const postgres = await Postgres.start();
    rows.push(
        ...(await directRows(program, 'PostgreSQL', { DATABASE_URL: await postgres.createDatabase() })),
    );
    await postgres.finish();
    const fanout = [await fanoutRow(program, 1), await fanoutRow(program, 16)];
    const connections = await connectionRows(program);
    removeDirectories();
    printTable(
        'Durable direct messages of 128 B, send to push and ack (pairs x in flight)',
        ['store and shape', 'messages/s', 'per CPU-second', 'p50 ms', 'p99 ms'],
        rows,
    );
    printTable(
        'Broadcast of 128 B to connected peers, stored once',
        ['shape', 'broadcasts/s', 'deliveries/s', 'deliveries per CPU-second'],
        fanout,
    );
    printTable('Connections', ['measured', 'value'], connections);
}
