// The store matrix: the same tests over SQLite and PostgreSQL, chosen by NAVE_STORES.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { after, before, describe } from 'node:test';
import { promisify } from 'node:util';
import { BrokerAdmin } from './broker_peer.mjs';
import { Api } from './client.mjs';
import { kDatabasePassword, Postgres, postgresMissing } from './postgres.mjs';
import { Server } from './server.mjs';

const run = promisify(execFile);

export const stores = () =>
    (process.env.NAVE_STORES ?? 'sqlite,postgres')
        .split(',')
        .map((name) => name.trim())
        .filter(Boolean);

// Limits off and every key for everybody: what most tests want.
export const kUnlimited = { SHADE_DISABLE_RATE_LIMIT: '1', SHADE_RESERVE_PERCENT: '0' };

let cluster; // one per test file
async function sharedCluster() {
    cluster ??= Postgres.start();
    return cluster;
}
after(async () => {
    if (cluster) {
        await (await cluster).finish();
    }
});

// Skipping is loud; where services are required it is a failure.
function skipReason(store) {
    if (store !== 'postgres') {
        return false;
    }
    const missing = postgresMissing();
    if (missing && process.env.NAVE_REQUIRE_SERVICES === '1') {
        throw new Error(`PostgreSQL is required: ${missing}`);
    }
    if (missing) {
        console.error(`*** SKIPPED on PostgreSQL: ${missing}`);
    }
    return missing ?? false;
}

// The bearer token of the broker's admin API in tests.
export const kBrokerAdminToken = 'token-of-the-tests-administrator';

const kBrokerEnv = { BROKER_ADMIN_TOKEN: kBrokerAdminToken, BROKER_LOG_LEVEL: 'debug' };

// One running server over one store, and a way to its database.
export class Backend {
    static async start(store, { env, ...options } = {}) {
        const backend = new Backend(store);
        const isBroker = options.services?.includes('broker') ?? false;
        const storeEnv = {};
        if (store === 'postgres') {
            backend.postgres = await sharedCluster();
            backend.databaseUrl = await backend.postgres.createDatabase();
            storeEnv[isBroker ? 'DATABASE_URL' : 'SHADE_PREKEY_PG_URL'] = backend.databaseUrl;
        }
        backend.storeEnv = storeEnv;
        const settings = isBroker
            ? { ...kBrokerEnv, ...env, ...storeEnv }
            : { SHADE_LOG_LEVEL: 'debug', ...(env ?? kUnlimited), ...storeEnv };
        backend.server = await Server.start({ env: settings, ...options });
        backend.connect();
        return backend;
    }

    constructor(store) {
        this.store = store;
        this.errorsExpected = false;
    }

    connect() {
        const { services, env, url } = this.server;
        if (services.includes('broker')) {
            this.admin = new BrokerAdmin(url, env.BROKER_ADMIN_TOKEN);
        }
        const prefix = services.length === 1 ? '' : '/prekeys';
        this.api = new Api(url, { prefix, audience: env.SHADE_AUDIENCE ?? '' });
    }

    // A second process on the same store (PostgreSQL only).
    async replica({ env = kUnlimited } = {}) {
        assert.equal(this.store, 'postgres');
        const shared = {
            ...this.storeEnv,
            SHADE_KT_KEY_FILE: path.join(this.server.dataDir, 'shade-kt.key'),
        };
        return Server.start({ env: { SHADE_LOG_LEVEL: 'debug', ...env, ...shared } });
    }

    async restart(env = undefined) {
        const full = env && { SHADE_LOG_LEVEL: 'debug', ...env, ...this.storeEnv };
        await this.server.restart(full);
        this.connect();
    }

    async killAndRestart() {
        await this.server.kill();
        await this.server.launch();
        this.connect();
    }

    get databaseFile() {
        if (this.server.services[0] === 'broker') {
            return path.join(this.server.dataDir, 'broker.db');
        }
        return (
            this.server.env.SHADE_PREKEY_DB_PATH ??
            path.join(this.server.dataDir, 'shade-prekeys.db')
        );
    }

    // SQL on the store, beside the server. Only to bring about what takes weeks otherwise.
    async sql(text) {
        if (this.store === 'postgres') {
            return this.postgres.sql(text, this.databaseUrl);
        }
        const { stdout } = await run('sqlite3', [
            ...['-cmd', '.timeout 10000', '-separator', '\t', this.databaseFile, text],
        ]);
        return stdout
            .split('\n')
            .filter(Boolean)
            .map((line) => line.split('\t'));
    }

    async finish() {
        const unexpected = this.errorsExpected ? [] : this.server.errorLines();
        await this.server.finish();
        assert.deepEqual(
            unexpected.map(({ text }) => text),
            [],
            'the server logged errors',
        );
        assert.ok(
            !this.server.lines.some(({ text }) => text.includes(kDatabasePassword)),
            'the password of the database is in the log',
        );
    }
}

// describe() once per store; `define` gets a context whose `backend`, `api` and `server` are there
// when tests run.
export function onEachStore(name, define, options = {}) {
    const wanted = stores().filter((store) => options.stores?.includes(store) ?? true);
    for (const store of wanted) {
        describe(`${name} [${store}]`, { skip: skipReason(store) }, () => {
            const context = {
                store,
                get api() {
                    return this.backend.api;
                },
                get admin() {
                    return this.backend.admin;
                },
                get server() {
                    return this.backend.server;
                },
            };
            before(async () => {
                context.backend = await Backend.start(store, options);
            });
            after(async () => {
                await context.backend?.finish();
            });
            define(context);
        });
    }
}
