// An old backup comes back: whatever happened between backup and restore, no one-time key that
// anybody ever got goes out again.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Device } from '../support/client.mjs';
import { expectOutcome } from '../support/expect.mjs';
import { runWhenFree, temporaryDirectory } from '../support/server.mjs';
import { onEachStore } from '../support/stores.mjs';

onEachStore('restore', (context) => {
    test('three generations of backups, restored in any order, reissue nothing', async () => {
        const directory = temporaryDirectory('nave-generations');
        const run = (command, file) =>
            runWhenFree([command, file, 'prekeys', '--data-dir', context.server.dataDir], {
                env: context.server.env,
            });
        const device = new Device({ suite: 'pqxdh-ed25519' });
        const issued = new Set();
        const note = (bundle) => {
            for (const key of [bundle.oneTimePreKey, bundle.kemPreKey]) {
                if (key && !key.lastResort) {
                    assert.ok(!issued.has(key.publicKey), `key ${key.keyId} went out twice`);
                    issued.add(key.publicKey);
                }
            }
        };
        const upload = async (oneTime, kem) => {
            const oneTimePreKeys = device.newOneTimePreKeys(oneTime);
            const kemOneTimePreKeys = device.newKemPreKeys(kem);
            expectOutcome(
                await context.api.replenish(device, { oneTimePreKeys, kemOneTimePreKeys }),
                200,
            );
        };
        const fetch = async (times) => {
            for (let i = 0; i < times; i += 1) {
                note(expectOutcome(await context.api.bundle(device.address), 200));
            }
        };
        expectOutcome(await context.api.register(device), 201);
        const files = [];
        for (let generation = 0; generation < 3; generation += 1) {
            await upload(12, 4);
            await fetch(3);
            const file = path.join(directory, `${generation}.db`);
            const { code, stderr } = await run('backup', file);
            assert.equal(code, 0, stderr);
            files.push(file);
            await fetch(3);
        }
        let epoch = 0;
        for (const file of [files[0], files[2], files[1], files[0]]) {
            await context.server.stop();
            const { code, stderr } = await run('restore', file);
            assert.equal(code, 0, stderr);
            await context.server.launch();
            context.backend.connect();
            const count = expectOutcome(await context.api.count(device), 200);
            assert.equal(count.oneTimePreKeyCount + count.kemOneTimePreKeyCount, 0);
            assert.notEqual(count.restoreEpoch, epoch, 'clients can tell');
            epoch = count.restoreEpoch;
            // A client that obeys the epoch uploads new keys, and those are handed out.
            await upload(6, 2);
            await fetch(5);
        }
        fs.rmSync(directory, { recursive: true });
    });

    test('the epoch never repeats, even when an older backup is restored twice', async () => {
        const directory = temporaryDirectory('nave-epoch');
        const file = path.join(directory, 'old.db');
        const device = new Device();
        expectOutcome(await context.api.register(device), 201);
        const run = (command) =>
            runWhenFree([command, file, 'prekeys', '--data-dir', context.server.dataDir], {
                env: context.server.env,
            });
        assert.equal((await run('backup')).code, 0);
        const epochs = new Set();
        for (let i = 0; i < 3; i += 1) {
            await context.server.stop();
            assert.equal((await run('restore')).code, 0);
            await context.server.launch();
            context.backend.connect();
            const { restoreEpoch } = expectOutcome(await context.api.count(device), 200);
            assert.ok(!epochs.has(restoreEpoch), `epoch ${restoreEpoch} came twice`);
            epochs.add(restoreEpoch);
        }
        fs.rmSync(directory, { recursive: true });
    });
});
