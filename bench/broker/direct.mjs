// Direct messages of 1 KiB from one connection to another, acknowledged and received, beside peers.
import { ms, printTable, thousands, times } from '../lib/table.mjs';
import { printGoals } from './goals.mjs';
import { load } from './load.mjs';
import { middle, ratio, takeTurns } from './rounds.mjs';
import { startMosquitto, startNats, startNave, startRedis } from './servers.mjs';

const kBytes = 1024;
// Pairs of connections and messages in flight on each.
const kShapes = [
    [16, 1],
    [1, 64],
    [1, 256],
    [16, 16],
];

async function measureShape(servers, [pairs, inFlight]) {
    const once = (server) => () =>
        load(server, 'direct', server.lines(2 * pairs), { inFlight, bytes: kBytes });
    return takeTurns(new Map(servers.map((server) => [server.name, once(server)])));
}

export async function measureDirect() {
    const nats = await startNats();
    const mosquitto = await startMosquitto();
    const redis = await startRedis();
    const nave = await startNave('Nave, SQLite');
    const servers = [nave, redis, nats.core, nats.jetStream, mosquitto.once];
    const goals = [];
    for (const shape of kShapes) {
        const results = await measureShape(servers, shape);
        printTable(
            `Direct messages of 1 KiB, ${shape.join(' x ')} (pairs x in flight); durable: Nave and Redis`,
            ['server', 'messages/s', 'per CPU-second', 'p50 ms', 'p99 ms', 'Nave is, per CPU-second'],
            servers.map(({ name }) => {
                const run = middle(results, name);
                return [
                    ...[name, thousands(run.perSecond), thousands(run.perCpuSecond)],
                    ...[ms(run.p50), ms(run.p99)],
                    name === nave.name ? '' : times(ratio(results, nave.name, name)),
                ];
            }),
        );
        const most = ratio(results, nave.name, redis.name);
        const slow = [nave, redis].map(({ name }) => ms(middle(results, name).p99));
        goals.push(
            [`${shape.join(' x ')}: per CPU-second at least Redis`, times(most), most >= 1],
            [`${shape.join(' x ')}: p99 at most Redis's`, slow.join(' / '), slow[0] - slow[1] <= 0],
        );
    }
    printGoals(goals);
    await Promise.all([nave, redis, nats, mosquitto].map((server) => server.stop()));
}
