// The connection to PostgreSQL breaks while a commit is under way: the broker cannot know whether the
// envelope is stored. Its sender is told so and repeats it; it arrives, once.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BrokerAdmin } from '../support/broker_peer.mjs';
import { Scene, texts } from '../support/broker_scene.mjs';
import { CuttingProxy } from '../support/cutting_proxy.mjs';
import { Postgres, postgresMissing } from '../support/postgres.mjs';
import { Server, until } from '../support/server.mjs';
import { kBrokerAdminToken, stores } from '../support/stores.mjs';

// Runs the statement that was prepared under this name, but does not prepare it.
const kCommit = /^(?![\s\S]*COMMIT)[\s\S]*commit_it/;
// A claim lasts 30 s: what comes only then was forgotten, not looked for.
const kBeforeClaimEndsMs = 25_000;
const skip =
    (!stores().includes('postgres') && 'PostgreSQL is not among NAVE_STORES') ||
    postgresMissing() ||
    false;

async function startBroker(databaseUrl) {
    const server = await Server.start({
        services: ['broker'],
        env: {
            DATABASE_URL: databaseUrl,
            BROKER_ADMIN_TOKEN: kBrokerAdminToken,
        },
    });
    return { server, admin: new BrokerAdmin(server.url, kBrokerAdminToken) };
}

describe('a commit in doubt', { skip }, () => {
    for (const target of ['key', '*']) {
        test(`to ${target}: the repeat arrives, once`, async (t) => {
            const postgres = await Postgres.start();
            t.after(() => postgres.finish());
            const proxy = await CuttingProxy.start(await postgres.createDatabase());
            t.after(() => proxy.stop());
            const context = await startBroker(proxy.url);
            t.after(() => context.server.dispose());
            const scene = await Scene.make(context, 'ada', 'bob');
            const ada = await scene.peer(scene.ada);
            const bob = await scene.peer(scene.bob);
            const spec = target === 'key' ? ada.key : target;
            await bob.envelope(spec, 'before');
            await ada.push('before');
            const send = () => bob.envelope(spec, 'in doubt', { client_message_id: 'one' });
            const cut = proxy.cutAfter('in doubt', kCommit);
            const [first] = await Promise.all([send(), cut]);
            assert.equal(first.type, 'error', 'the sender is told');
            const messageId = await until(async () => (await send()).messageId);
            const arrived = await ada.push('in doubt', kBeforeClaimEndsMs);
            assert.equal(arrived.messageId, messageId);
            await bob.envelope(spec, 'after');
            await ada.push('after');
            assert.deepEqual(texts(ada), ['before', 'in doubt', 'after']);
            await Promise.all([ada.close(), bob.close()]);
            await context.server.finish();
        });
    }
});
