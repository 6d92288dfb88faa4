// Two nodes on one PostgreSQL and one Redis beside one node, all on the same two cores.
import { Peer } from '../../tests/support/broker_peer.mjs';
import { Postgres } from '../../tests/support/postgres.mjs';
import { ms, printTable, thousands } from '../lib/table.mjs';
import { load } from './load.mjs';
import { middle, takeTurns } from './rounds.mjs';
import { createMembers, naveLines, startNaveServer, startRedis } from './servers.mjs';
import { postgresPids } from './stores.mjs';

const kPairs = 16;
const kInFlight = 16;
const kBytes = 128;
const kCrossingDeadlineMs = 5_000;

async function crosses(nodes, [from, to]) {
    const receiver = await Peer.connect(nodes[1].url, to);
    const sender = await Peer.connect(nodes[0].url, from);
    await sender.envelope(to.keys.hex, 'across');
    const arrived = await receiver.push('across', kCrossingDeadlineMs).then(
        () => true,
        () => false,
    );
    await Promise.all([sender.close(), receiver.close()]);
    return arrived;
}

async function measureScaling(nodes, members, shared) {
    const placed = (name, nodeOf) => [
        name,
        () => {
            const lines = naveLines(members, (index) => nodes[nodeOf(index)].port);
            const used = new Set(members.map((_, index) => nodeOf(index)));
            const pids = [...used].map((node) => nodes[node].child.pid).concat(shared);
            const wish = { inFlight: kInFlight, bytes: kBytes };
            return load({ protocol: 'nave', pids }, 'direct', lines, wish);
        },
    ];
    const results = await takeTurns(
        new Map([
            placed('all on one node', () => 0),
            placed('pairs on two nodes, each with its own', (index) => Math.floor(index / 2) % 2),
            placed('senders on one, receivers on the other', (index) => index % 2),
        ]),
    );
    printTable(
        `Direct messages of 128 B, ${kPairs} x ${kInFlight}, PostgreSQL and Redis; all CPU-seconds`,
        ['placement', 'messages/s', 'per CPU-second', 'p50 ms', 'p99 ms'],
        [...results.keys()].map((name) => {
            const run = middle(results, name);
            return [
                ...[name, thousands(run.perSecond), thousands(run.perCpuSecond)],
                ...[ms(run.p50), ms(run.p99)],
            ];
        }),
    );
}

export async function measureNodes() {
    const postgres = await Postgres.start();
    const redis = await startRedis();
    const env = { DATABASE_URL: await postgres.createDatabase(), REDIS_URL: redis.url };
    const nodes = [];
    try {
        nodes.push(await startNaveServer(env), await startNaveServer(env));
        const members = await createMembers(nodes[0].url, 2 * kPairs);
        if (await crosses(nodes, members)) {
            const shared = [...postgresPids(postgres), ...redis.pids];
            await measureScaling(nodes, members, shared);
        } else {
            console.log('\nTwo nodes: not measured, a message did not reach a peer of the other node');
        }
    } finally {
        await Promise.all(nodes.map((node) => node.finish()));
        await redis.stop();
        await postgres.finish();
    }
}
