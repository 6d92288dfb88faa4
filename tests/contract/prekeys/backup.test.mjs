// Backup and restore. A restored database has forgotten which keys went out since, so all one-time
// keys are burnt and clients are told by restoreEpoch.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Device, kSuites } from '../../support/client.mjs';
import { expectError, expectOutcome } from '../../support/expect.mjs';
import { openCheckpoint } from '../../support/transparency.mjs';
import {
    binary,
    cleanEnvironment,
    runCommand,
    runWhenFree,
    temporaryDirectory,
} from '../../support/server.mjs';
import { kDatabasePassword } from '../../support/postgres.mjs';
import { Backend, kUnlimited, onEachStore, stores } from '../../support/stores.mjs';

const kObserverToken = 'observer-token-of-the-backup-tests';

onEachStore('backup and restore', (context) => {
    const run = (command, file) =>
        runCommand([command, file, 'prekeys', '--data-dir', context.server.dataDir], {
            env: context.server.env,
        });
    // With the server stopped.
    const restored = (file) =>
        runWhenFree(['restore', file, 'prekeys', '--data-dir', context.server.dataDir], {
            env: context.server.env,
        });
    const directory = temporaryDirectory('nave-backup');

    test('a backup of a running server, restored: no one-time keys, a new epoch', async () => {
        const file = path.join(directory, 'first.db');
        const device = new Device({ suite: 'pqxdh-ed25519' });
        const uploaded = device.registration({ oneTime: 10, kemOneTime: 4 });
        expectOutcome(await context.api.write(device, 'POST', '/v1/keys/register', uploaded), 201);
        const early = expectOutcome(await context.api.bundle(device.address), 200);
        const backup = await run('backup', file);
        assert.equal(backup.code, 0, backup.stderr);
        assert.ok(fs.statSync(file).size > 0);
        assert.equal(fs.statSync(file).mode & 0o077, 0, 'a backup is for its owner only');
        assert.ok(!fs.readFileSync(file).includes(kDatabasePassword));

        // After the backup: another fetch, and an address the backup does not know.
        const late = expectOutcome(await context.api.bundle(device.address), 200);
        const stranger = new Device();
        expectOutcome(await context.api.register(stranger), 201);

        await context.server.stop();
        const restore = await restored(file);
        assert.equal(restore.code, 0, restore.stderr);
        await context.server.launch();
        context.backend.connect();

        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 0);
        assert.equal(count.kemOneTimePreKeyCount, 0);
        assert.ok(count.restoreEpoch > 0);
        expectError(await context.api.bundle(stranger.address), 404, 'SHADE_NOT_FOUND');
        const bundle = expectOutcome(await context.api.bundle(device.address), 200);
        assert.equal(bundle.oneTimeStatus, 'exhausted');
        assert.equal(bundle.kemPreKey.lastResort, true);
        assert.deepEqual(bundle.signedPreKey, device.signedPreKey);

        // The keys of before are burnt, the one fetched after the backup included.
        const again = expectOutcome(
            await context.api.replenish(device, { oneTimePreKeys: uploaded.oneTimePreKeys }),
            200,
        );
        assert.equal(again.oneTimePreKeyCount, 0);
        assert.ok(again.results.consumed.includes(early.oneTimePreKey.keyId));
        assert.ok(again.results.consumed.includes(late.oneTimePreKey.keyId));
        const fresh = expectOutcome(
            await context.api.replenish(device, {
                oneTimePreKeys: device.newOneTimePreKeys(2, 2000),
            }),
            200,
        );
        assert.deepEqual(fresh.results.accepted, [2000, 2001]);
    });

    test('registering tells the new epoch too, and a second restore raises it', async () => {
        const file = path.join(directory, 'second.db');
        const device = new Device();
        const before = expectOutcome(await context.api.register(device), 201);
        assert.equal((await run('backup', file)).code, 0);
        await context.server.stop();
        assert.equal((await restored(file)).code, 0);
        await context.server.launch();
        context.backend.connect();
        device.newSignedPreKey();
        const after = expectOutcome(await context.api.register(device, { oneTime: 1 }), 200);
        assert.ok(after.restoreEpoch > before.restoreEpoch);

        // However an owner comes back, its stream begins with it.
        for (const resumed of [{}, { 'Last-Event-ID': '7' }]) {
            const target = '/v1/keys/events';
            const headers = device.requestHeaders('GET', context.api.prefix + target);
            const stream = await context.api.stream(target, { headers: { ...headers, ...resumed } });
            const first = await stream.next(() => true);
            assert.equal(first.event, 'restore.epoch');
            assert.equal(JSON.parse(first.data).restoreEpoch, after.restoreEpoch);
            stream.close();
        }
    });

    test('the transparency log never takes back what it signed', async () => {
        const file = path.join(directory, 'log.db');
        const device = new Device();
        expectOutcome(await context.api.register(device, { oneTime: 3 }), 201);
        assert.equal((await run('backup', file)).code, 0);
        expectOutcome(await context.api.register(new Device()), 201);
        const keys = expectOutcome(await context.api.request('GET', '/v1/kt/keys'), 200);
        const note = await context.api.request('GET', '/v1/kt/checkpoint');
        assert.ok(openCheckpoint(note.text, keys.vkey).size > 1, 'more than the backup holds');
        await context.server.stop();
        assert.equal((await restored(file)).code, 0);
        await context.server.launch();
        context.backend.connect();
        // The restored tree is smaller than what was signed: nothing may be signed for it.
        const after = await context.api.request('GET', '/v1/kt/checkpoint');
        const { message } = expectError(after, 503, 'SHADE_STORAGE');
        assert.equal(message, 'Key transparency is out of service.', 'and no path or reason');
        // Operators see it wherever they look, and no load balancer takes the node out.
        const health = expectOutcome(await context.api.request('GET', '/health'), 200);
        assert.equal(health.status, 'degraded');
        assert.deepEqual(
            health.issues.map(({ subsystem }) => subsystem),
            ['prekeys.transparency'],
        );
        expectOutcome(await context.api.request('GET', '/ready'), 200);
        const state = await context.api.request('GET', '/shade-observer/api/state', {
            headers: { Authorization: `Bearer ${kObserverToken}` },
        });
        const { keyTransparency, totals } = expectOutcome(state, 200);
        assert.match(keyTransparency.trouble, /an older state was restored/);
        assert.ok(totals.identities > 0, 'figures are there from the start');
        const doctor = await runCommand(['doctor', '--data-dir', context.server.dataDir], {
            env: context.server.env,
        });
        assert.match(doctor.stdout, /FAIL {2}prekeys .*an older state was restored/);
        // People can still be reached, and nobody pays with a one-time key for a missing proof.
        expectOutcome(
            await context.api.replenish(device, {
                oneTimePreKeys: device.newOneTimePreKeys(5, 3000),
            }),
            200,
        );
        expectOutcome(await context.api.bundle(device.address), 200);
        const bundlePath = `/v1/keys/bundle/${device.address}?kt=1`;
        const asked = await context.api.request('GET', bundlePath);
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(
            count.oneTimePreKeyCount,
            asked.status === 200 ? 3 : 4,
            `${asked.outcome} used up a key`,
        );
    });

    test('a restore waits for a server that is stopping', async () => {
        if (context.backend.store !== 'postgres') {
            return; // a file's lock goes with the process
        }
        const file = path.join(directory, 'stopping.db');
        assert.equal((await run('backup', file)).code, 0);
        const restore = spawn(
            binary(),
            ['restore', file, 'prekeys', '--data-dir', context.server.dataDir],
            { env: cleanEnvironment(context.server.env), stdio: ['ignore', 'ignore', 'pipe'] },
        );
        const ended = once(restore, 'exit');
        const [said] = await once(restore.stderr.setEncoding('utf8'), 'data');
        assert.match(said, /waiting/);
        await context.server.stop();
        assert.deepEqual(await ended, [0, null]);
        await context.server.launch();
        context.backend.connect();
    });

    test('a running server is not restored over', async () => {
        const file = path.join(directory, 'third.db');
        const device = new Device();
        expectOutcome(await context.api.register(device, { oneTime: 1 }), 201);
        assert.equal((await run('backup', file)).code, 0);
        const restore = await run('restore', file);
        assert.notEqual(restore.code, 0, 'restore worked under a running server');
        assert.match(restore.stderr, /running|use|lock|stop/i);
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 1);
    });

    test('a backup never overwrites a file', async () => {
        const file = path.join(directory, 'precious.db');
        fs.writeFileSync(file, 'precious');
        assert.notEqual((await run('backup', file)).code, 0);
        assert.equal(fs.readFileSync(file, 'utf8'), 'precious');
    });

    test('what is not a backup is not restored', async () => {
        const file = path.join(directory, 'garbage.db');
        fs.writeFileSync(file, Buffer.alloc(100_000, 'garbage'));
        const device = new Device();
        expectOutcome(await context.api.register(device), 201);
        await context.server.stop();
        const restore = await restored(file);
        assert.notEqual(restore.code, 0);
        const missing = await run('restore', path.join(directory, 'no-such-file'));
        assert.notEqual(missing.code, 0);
        await context.server.launch();
        context.backend.connect();
        expectOutcome(await context.api.identityOf(device.address), 200);
    });

    test('backups under load are consistent', async () => {
        const device = new Device();
        expectOutcome(await context.api.register(device, { oneTime: 100 }), 201);
        let running = true;
        const load = (async () => {
            let fetched = 0;
            while (running) {
                expectOutcome(await context.api.bundle(device.address), 200);
                fetched += 1;
            }
            return fetched;
        })();
        for (let i = 0; i < 3; i += 1) {
            const file = path.join(directory, `load-${i}.db`);
            const backup = await run('backup', file);
            assert.equal(backup.code, 0, backup.stderr);
        }
        running = false;
        assert.ok((await load) > 0);
        fs.rmSync(directory, { recursive: true, force: true });
    });
}, { env: { ...kUnlimited, SHADE_OBSERVER_TOKEN: kObserverToken } });

const bothStores = ['sqlite', 'postgres'].every((store) => stores().includes(store));
describe('backups move between stores', { skip: !bothStores && 'needs both stores' }, () => {
    for (const [from, to] of [
        ['sqlite', 'postgres'],
        ['postgres', 'sqlite'],
    ]) {
        test(`from ${from} to ${to}`, async () => {
            const directory = temporaryDirectory('nave-move');
            const file = path.join(directory, 'move.db');
            const [source, target] = [await Backend.start(from), await Backend.start(to)];
            const run = (command, backend) =>
                runWhenFree([command, file, 'prekeys', '--data-dir', backend.server.dataDir], {
                    env: backend.server.env,
                });
            const devices = [];
            for (const suite of kSuites) {
                const device = new Device({ suite });
                expectOutcome(
                    await source.api.register(device, { oneTime: 3, kemOneTime: 1 }),
                    201,
                );
                devices.push(device);
            }
            const bundles = [];
            for (const device of devices) {
                bundles.push(expectOutcome(await source.api.bundle(device.address), 200));
            }
            const backup = await run('backup', source);
            assert.equal(backup.code, 0, backup.stderr);
            await target.server.stop();
            // The keys of the transparency log are not in the backup; they move beside it.
            for (const name of fs.readdirSync(source.server.dataDir)) {
                if (name.startsWith('shade-kt.')) {
                    fs.copyFileSync(
                        path.join(source.server.dataDir, name),
                        path.join(target.server.dataDir, name),
                    );
                }
            }
            const restore = await run('restore', target);
            assert.equal(restore.code, 0, restore.stderr);
            await target.server.launch();
            target.connect();
            for (const [i, device] of devices.entries()) {
                const count = expectOutcome(await target.api.count(device), 200);
                assert.equal(count.oneTimePreKeyCount, 0);
                assert.ok(count.restoreEpoch > 0);
                expectOutcome(await target.api.checkDigest(device.address, device.digest()), 200);
                const { oneTimePreKey } = bundles[i];
                const again = expectOutcome(
                    await target.api.replenish(device, { oneTimePreKeys: [oneTimePreKey] }),
                    200,
                );
                assert.deepEqual(again.results.consumed, [oneTimePreKey.keyId]);
            }
            const response = await target.api.request('GET', '/v1/kt/checkpoint');
            assert.equal(response.status, 200, response.text);
            await source.finish();
            await target.finish();
            fs.rmSync(directory, { recursive: true });
        });
    }
});
