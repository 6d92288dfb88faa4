// The ways in which PostgreSQL goes away under a running server.
import { test } from 'node:test';
import { Postgres, postgresMissing } from './postgres.mjs';
import { stores } from './stores.mjs';

// Why such tests cannot run, or false.
export const outagesMissing = () =>
    (!stores().includes('postgres') && 'PostgreSQL is not among NAVE_STORES') ||
    (process.env.NAVE_TEST_PG_URL && 'needs a cluster of its own') ||
    postgresMissing() ||
    false;

const kWays = {
    'an orderly stop and start': (postgres) => postgres.down(),
    'a crash of the database and its recovery': (postgres) => postgres.crash(),
};

// A test for each way, which `scenario(postgres, t, goDown)` runs on a cluster of its own.
export function onEachOutage(scenario) {
    for (const [way, goDown] of Object.entries(kWays)) {
        test(way, async (t) => {
            const postgres = await Postgres.start();
            try {
                await scenario(postgres, t, () => goDown(postgres));
            } finally {
                await postgres.finish();
            }
        });
    }
}
