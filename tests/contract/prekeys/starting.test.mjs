// What clients see while the process starts: a start-up that waits for the database, held there.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Api, Device } from '../../support/client.mjs';
import { expectError } from '../../support/expect.mjs';
import { Postgres, postgresMissing } from '../../support/postgres.mjs';
import { Server, temporaryDirectory } from '../../support/server.mjs';

const missing = postgresMissing();
if (missing && process.env.NAVE_REQUIRE_SERVICES === '1') {
    throw new Error(`PostgreSQL is required: ${missing}`);
}

describe('starting', { skip: missing ?? false }, () => {
    let postgres;
    let databaseUrl;
    const dataDir = temporaryDirectory('nave-starting'); // one log key for all

    before(async () => {
        postgres = await Postgres.start();
        databaseUrl = await postgres.createDatabase();
        const server = await Server.start({ env: { SHADE_PREKEY_PG_URL: databaseUrl }, dataDir });
        await server.finish();
    });
    after(async () => {
        await postgres?.finish();
        fs.rmSync(dataDir, { recursive: true, force: true });
    });

    // A session that keeps the migrations waiting until it is closed.
    async function holdMigrations() {
        const psql = spawn('psql', ['--no-psqlrc', '--quiet', '--tuples-only', databaseUrl], {
            stdio: ['pipe', 'pipe', 'inherit'],
        });
        psql.stdin.write(
            "begin; lock table nave_schema_migrations in access exclusive mode; select 'held';\n",
        );
        await once(psql.stdout, 'data');
        const ended = once(psql, 'exit');
        return async () => {
            psql.stdin.end();
            await ended;
        };
    }

    for (const [title, services, prefix] of [
        ['alone', ['prekeys'], ''],
        ['together', [], '/prekeys'],
    ]) {
        test(`${title}: its own errors, and health with the step`, async () => {
            const release = await holdMigrations();
            const env = { SHADE_PREKEY_PG_URL: databaseUrl, SHADE_DISABLE_RATE_LIMIT: '1' };
            const server = await Server.start({ services, env, dataDir, ready: false });
            try {
                const api = new Api(server.url, { prefix });
                const big = new Device({ suite: 'pqxdh-ed25519' });
                for (const answer of [
                    await api.request('GET', '/v1/keys/bundle/alice:1'),
                    await api.request('DELETE', '/v1/keys/alice:1'),
                    await api.register(big, { kemOneTime: 100 }),
                ]) {
                    const error = expectError(answer, 503, 'SHADE_STORAGE');
                    assert.equal(error.message, 'The server is starting.');
                    assert.equal(answer.headers['retry-after'], '1');
                    assert.equal(answer.headers['cache-control'], 'no-store');
                }
                for (const [path, status] of [
                    ['/health', 503],
                    ['/ready', 503],
                    ['/healthz', 200],
                ]) {
                    assert.equal((await api.request('GET', path)).status, status, path);
                }
                const health = (await api.request('GET', '/health')).json;
                assert.equal(health.status, 'starting');
                assert.equal(health.step, 'run-migrations');
                await release();
                await server.waitForLog((line) => line.msg === 'ready');
                const absent = await api.request('GET', '/v1/keys/bundle/alice:1');
                expectError(absent, 404, 'SHADE_NOT_FOUND');
                await server.finish();
            } finally {
                await release();
                await server.kill();
            }
        });
    }
});
