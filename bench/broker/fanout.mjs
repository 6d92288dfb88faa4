// One message of 128 B to 100 connected receivers, beside peers; and what members cost that are away.
import { ms, printTable, thousands, times } from '../lib/table.mjs';
import { printGoals } from './goals.mjs';
import { load } from './load.mjs';
import { middle, ratio, takeTurns } from './rounds.mjs';
import { startMosquitto, startNats, startNave, startRedis } from './servers.mjs';

const kBytes = 128;
const kReceivers = 100;
const kInFlight = [1, 16, 256];

async function measureConnected() {
    const nats = await startNats();
    const mosquitto = await startMosquitto();
    const redis = await startRedis();
    const nave = await startNave('Nave, SQLite (durable)');
    const publish = { ...redis, name: 'Redis PUBLISH' };
    const servers = [nave, nats.core, mosquitto.atMostOnce, mosquitto.once, publish];
    const goals = [];
    for (const inFlight of kInFlight) {
        const once = (server) => () =>
            load(server, 'fanout', server.lines(kReceivers + 1), { inFlight, bytes: kBytes });
        const runs = new Map(servers.map((server) => [server.name, once(server)]));
        const results = await takeTurns(runs);
        printTable(
            `128 B to ${kReceivers} connected receivers, ${inFlight} in flight`,
            ['server', 'deliveries/s', 'per CPU-second', 'p50 ms', 'p99 ms', 'Nave is, per CPU-second'],
            servers.map(({ name }) => {
                const run = middle(results, name);
                return [
                    ...[name, thousands(run.perSecond * kReceivers)],
                    ...[thousands(run.perCpuSecond * kReceivers), ms(run.p50), ms(run.p99)],
                    name === nave.name ? '' : times(ratio(results, nave.name, name)),
                ];
            }),
        );
        const most = ratio(results, nave.name, nats.core.name);
        goals.push(
            [`${inFlight} in flight: per CPU-second at least NATS`, times(most), most >= 1],
            [`${inFlight} in flight: twice that (stretch)`, times(most), most >= 2],
        );
    }
    printGoals(goals);
    await Promise.all([nave, redis, nats, mosquitto].map((server) => server.stop()));
}

// Whoever comes again may find what did not settle when the connection went.
async function measureAway() {
    const nave = await startNave('Nave');
    const members = await nave.members(kReceivers + 1);
    const wish = { inFlight: 16, bytes: kBytes };
    const connected = () => load(nave, 'fanout', nave.linesOf(members), wish);
    const away = () => load(nave, 'fanout', nave.linesOf(members.slice(0, 1)), wish);
    const results = await takeTurns(
        new Map([
            ['connected', connected],
            ['connected again', connected],
            ['connected a third time', connected],
            ['away', away],
        ]),
        1,
    );
    await nave.stop();
    printTable(
        `A broadcast of 128 B to ${kReceivers} members, 16 in flight, SQLite`,
        ['members are', 'broadcasts/s', 'members/s', 'microseconds of CPU per member'],
        [...results.keys()].map((name) => {
            const run = middle(results, name);
            return [
                ...[name, thousands(run.perSecond), thousands(run.perSecond * kReceivers)],
                (1e6 / (run.perCpuSecond * kReceivers)).toFixed(1),
            ];
        }),
    );
}

export async function measureFanout() {
    await measureConnected();
    await measureAway();
}
