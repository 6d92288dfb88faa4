// Direct messages of 128 B on both stores: what Nave promises by itself.
import fs from 'node:fs';
import path from 'node:path';
import { Postgres } from '../../tests/support/postgres.mjs';
import { ms, printTable, thousands } from '../lib/table.mjs';
import { printGoals } from './goals.mjs';
import { load } from './load.mjs';
import { middle, takeTurns } from './rounds.mjs';
import { startNave } from './servers.mjs';

const kBytes = 128;
const kShapes = [
    [1, 1],
    [8, 8],
    [1, 256],
    [16, 16],
];
// Messages/s of the original at 8 pairs x 8 on PostgreSQL 15 of this machine.
const kOriginal = 490;

// The server process of a private cluster; its children are counted with it.
export function postgresPids(postgres) {
    if (!postgres.directory) {
        return [];
    }
    const file = path.join(postgres.directory, 'data', 'postmaster.pid');
    return [Number(fs.readFileSync(file, 'utf8').split('\n')[0])];
}

export async function measureStores() {
    const postgres = await Postgres.start();
    const sqliteNave = await startNave('SQLite');
    const postgresNave = await startNave('PostgreSQL', {
        env: { DATABASE_URL: await postgres.createDatabase() },
        morePids: postgresPids(postgres),
    });
    const runs = new Map();
    for (const [pairs, inFlight] of kShapes) {
        for (const server of [sqliteNave, postgresNave]) {
            runs.set(`${server.name} ${pairs} x ${inFlight}`, () =>
                load(server, 'direct', server.lines(2 * pairs), { inFlight, bytes: kBytes }),
            );
        }
    }
    const results = await takeTurns(runs);
    await sqliteNave.stop();
    await postgresNave.stop();
    await postgres.finish();
    const rows = [...runs.keys()].map((name) => [name, middle(results, name)]);
    printTable(
        'Direct messages of 128 B by store (pairs x in flight); CPU-seconds with those of PostgreSQL',
        ['store and shape', 'messages/s', 'per CPU-second', 'p50 ms', 'p99 ms'],
        rows.map(([name, run]) => [
            ...[name, thousands(run.perSecond), thousands(run.perCpuSecond)],
            ...[ms(run.p50), ms(run.p99)],
        ]),
    );
    const at = (name) => middle(results, name);
    const rate = (name, least) => [
        `${name}: ${thousands(least)}/s`,
        thousands(at(name).perSecond),
        at(name).perSecond >= least,
    ];
    const p99 = at('SQLite 8 x 8').p99;
    printGoals([
        rate('SQLite 8 x 8', 25_000),
        ['SQLite 8 x 8: p99 under 10 ms', `${ms(p99)} ms`, p99 < 10],
        rate('SQLite 1 x 256', 60_000),
        rate('SQLite 16 x 16', 60_000),
        rate('PostgreSQL 8 x 8', 10 * kOriginal),
    ]);
}
