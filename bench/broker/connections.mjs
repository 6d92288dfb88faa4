// Idle connections: how quickly 10,000 are there and what memory each costs, beside peers; and what
// the service costs when nobody uses it.
import { peerKeys } from '../../tests/support/broker_peer.mjs';
import { residentMegabytes } from '../lib/process.mjs';
import { printTable, thousands } from '../lib/table.mjs';
import { printGoals } from './goals.mjs';
import { hold } from './load.mjs';
import {
    createMembers,
    naveLines,
    startMosquitto,
    startNats,
    startNaveServer,
    startRedis,
} from './servers.mjs';

const kConnections = 10_000;
const kMembers = 50;

async function measureIdle(server) {
    const [pid] = server.pids;
    const lines = server.lines(kConnections);
    const before = residentMegabytes(pid);
    const held = await hold(server, lines);
    const each = ((residentMegabytes(pid) - before) * 1e6) / kConnections / 1024;
    await held.release();
    return { name: server.name, perSecond: kConnections / held.seconds, each, before };
}

// Sessions of few members: what a hello and a socket cost does not depend on whose they are.
async function measureNave() {
    const server = await startNaveServer();
    const members = await createMembers(server.url, kMembers);
    const sessions = Array.from({ length: kConnections }, (_, i) => ({
        ...members[i % kMembers],
        session: peerKeys(),
    }));
    const measured = await measureIdle({
        name: 'Nave, signed hello',
        protocol: 'nave',
        pids: [server.child.pid],
        lines: () => naveLines(sessions, () => server.port),
    });
    await server.finish();
    return measured;
}

async function residentWith(services) {
    const server = await startNaveServer({}, services);
    await (await fetch(`${server.url}/health`)).text();
    const resident = residentMegabytes(server.child.pid);
    await server.finish();
    return resident;
}

export async function measureConnections() {
    const rows = [await measureNave()];
    const nats = await startNats();
    rows.push(await measureIdle({ ...nats.core, name: 'NATS, one subscription' }));
    await nats.stop();
    const mosquitto = await startMosquitto();
    rows.push(await measureIdle({ ...mosquitto.once, name: 'mosquitto, one subscription' }));
    await mosquitto.stop();
    const redis = await startRedis();
    rows.push(await measureIdle({ ...redis, name: 'Redis, one subscription' }));
    await redis.stop();
    printTable(
        `${thousands(kConnections)} idle connections, 64 connecting at a time`,
        ['server', 'connects/s', 'KiB each', 'MB before'],
        rows.map(({ name, perSecond, each, before }) => [
            ...[name, thousands(perSecond), each.toFixed(1), before.toFixed(1)],
        ]),
    );
    const without = await residentWith(['prekeys']);
    const together = await residentWith(['prekeys', 'broker']);
    const [{ perSecond, each }] = rows;
    printGoals([
        ['5,000 hellos/s', thousands(perSecond), perSecond >= 5000],
        ['4 KiB for an idle connection', `${each.toFixed(1)} KiB`, each <= 4],
        [
            'idle memory unchanged by the service (1 MB)',
            `${without.toFixed(1)} and ${together.toFixed(1)} MB`,
            together - without < 1,
        ],
    ]);
}
