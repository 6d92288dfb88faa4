// Backup and restore. A restored database has forgotten which keys went out since, so all one-time
// keys are burnt and clients are told by restoreEpoch.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Device } from '../../support/client.mjs';
import { expectError, expectOutcome } from '../../support/expect.mjs';
import { runCommand, temporaryDirectory } from '../../support/server.mjs';
import { onEachStore } from '../../support/stores.mjs';

onEachStore(
    'backup and restore',
    (context) => {
        const run = (command, file) =>
            runCommand([command, file, '--data-dir', context.server.dataDir], {
                env: context.server.env,
            });
        const directory = temporaryDirectory('nave-backup');

        test('a backup of a running server, restored: no one-time keys, a new epoch', async () => {
            const file = path.join(directory, 'first.db');
            const device = new Device({ suite: 'pqxdh-ed25519' });
            const uploaded = device.registration({ oneTime: 10, kemOneTime: 4 });
            expectOutcome(
                await context.api.write(device, 'POST', '/v1/keys/register', uploaded),
                201,
            );
            const early = expectOutcome(await context.api.bundle(device.address), 200);
            const backup = await run('backup', file);
            assert.equal(backup.code, 0, backup.stderr);
            assert.ok(fs.statSync(file).size > 0);
            assert.equal(fs.statSync(file).mode & 0o077, 0, 'a backup is for its owner only');

            // After the backup: another fetch, and an address the backup does not know.
            const late = expectOutcome(await context.api.bundle(device.address), 200);
            const stranger = new Device();
            expectOutcome(await context.api.register(stranger), 201);

            await context.server.stop();
            const restore = await run('restore', file);
            assert.equal(restore.code, 0, restore.stderr);
            await context.server.launch();
            context.backend.connect();

            const count = expectOutcome(await context.api.count(device), 200);
            assert.equal(count.oneTimePreKeyCount, 0);
            assert.equal(count.kemOneTimePreKeyCount, 0);
            assert.equal(count.restoreEpoch, 1);
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
            assert.equal((await run('restore', file)).code, 0);
            await context.server.launch();
            context.backend.connect();
            device.newSignedPreKey();
            const after = expectOutcome(await context.api.register(device, { oneTime: 1 }), 200);
            assert.equal(after.restoreEpoch, before.restoreEpoch + 1);
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
            const restore = await run('restore', file);
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
    },
    { stores: ['sqlite'] },
);

onEachStore(
    'backup on PostgreSQL',
    (context) => {
        test('points to pg_dump', async () => {
            const file = path.join(temporaryDirectory('nave-backup'), 'pg.db');
            const { code, stdout, stderr } = await runCommand(['backup', file], {
                env: context.server.env,
            });
            if (code !== 0) {
                assert.match(stdout + stderr, /pg_dump/);
            }
        });
    },
    { stores: ['postgres'] },
);
