// Stale cleanup: what is purged, what is not, and what a purge leaves behind. Weeks are brought about
// by moving the stored times back while the server is down.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Device } from '../../support/client.mjs';
import { expectError, expectOutcome } from '../../support/expect.mjs';
import { runCommand } from '../../support/server.mjs';
import { onEachStore } from '../../support/stores.mjs';

const kDay = 86_400_000;
const kEnv = { SHADE_DISABLE_RATE_LIMIT: '1', SHADE_RESERVE_PERCENT: '0' };

const quote = (text) => `'${text.replaceAll("'", "''")}'`;

async function registered(api, stock = { oneTime: 2 }) {
    const device = new Device();
    expectOutcome(await api.register(device, stock), 201);
    return device;
}

// Moves all activity of the devices back by so many days, then restarts, which cleans up.
async function ageAndRestart(backend, devices, days, env = undefined) {
    await backend.server.stop();
    const list = devices.map(({ address }) => quote(address)).join(',');
    const at = Date.now() - days * kDay;
    await backend.sql(
        `UPDATE shade_server_identities SET last_activity_at = ${at}, ` +
            `last_owner_activity_at = ${at}, last_fetch_at = ${at} WHERE address IN (${list})`,
    );
    await backend.restart(env);
    await cleaned(backend);
}

// Each cycle logs how many identities it removed.
const cleaned = (backend) =>
    backend.server.waitForLog(({ msg, purged }) => msg === 'stale cleanup' && purged >= 0);

onEachStore(
    'cleanup',
    (context) => {
        test('runs at start, and removes what is stale and nothing else', async () => {
            const [stale, fresh] = [await registered(context.api), await registered(context.api)];
            const edge = await registered(context.api);
            await ageAndRestart(context.backend, [stale], 31);
            expectError(await context.api.bundle(stale.address), 404, 'SHADE_NOT_FOUND');
            expectError(await context.api.count(stale), 404, 'SHADE_NOT_FOUND');
            expectOutcome(await context.api.bundle(fresh.address), 200);
            const metrics = await context.api.metrics();
            assert.equal(metrics.get('shade_purged_total'), 1);
            assert.ok(
                context.server.log.some(({ json }) => json?.purged === 1),
                'the cycle logs how many it removed',
            );
            await ageAndRestart(context.backend, [edge], 29);
            expectOutcome(await context.api.bundle(edge.address), 200);
        });

        test('the time of the last run is a metric', async () => {
            const metrics = await context.api.metrics();
            const at = metrics.get('shade_cleanup_last_run_timestamp_seconds');
            assert.ok(Math.abs(at - Date.now() / 1000) < 600, `last run at ${at}`);
        });

        test('a purged address looks like one that never was', async () => {
            const device = await registered(context.api);
            await ageAndRestart(context.backend, [device], 40);
            const purged = expectError(
                await context.api.bundle(device.address),
                404,
                'SHADE_NOT_FOUND',
            );
            const never = expectError(
                await context.api.bundle('never-was:1'),
                404,
                'SHADE_NOT_FOUND',
            );
            assert.deepEqual({ ...purged, requestId: '' }, { ...never, requestId: '' });
        });

        test('a stranger cannot take a purged name; its owner can have it back', async () => {
            const device = await registered(context.api);
            const taken = expectOutcome(await context.api.bundle(device.address), 200);
            await ageAndRestart(context.backend, [device], 31);
            const stranger = new Device({ address: device.address });
            expectError(await context.api.register(stranger), 410, 'SHADE_TOMBSTONED');
            const body = device.registration();
            body.oneTimePreKeys = [taken.oneTimePreKey, ...device.newOneTimePreKeys(1, 900)];
            const again = expectOutcome(
                await context.api.write(device, 'POST', '/v1/keys/register', body),
                201,
            );
            assert.deepEqual(again.results.accepted, [900]);
            assert.deepEqual(again.results.consumed, [taken.oneTimePreKey.keyId]);
        });

        test('the quarantine ends', async () => {
            const device = await registered(context.api);
            await ageAndRestart(context.backend, [device], 31);
            const stranger = new Device({ address: device.address });
            expectError(await context.api.register(stranger), 410, 'SHADE_TOMBSTONED');
            await context.backend.server.stop();
            await context.backend.sql(
                `UPDATE shade_server_tombstones SET at = ${Date.now() - 366 * kDay} ` +
                    `WHERE address = ${quote(device.address)}`,
            );
            await context.backend.restart();
            await cleaned(context.backend);
            expectOutcome(await context.api.register(stranger), 201);
        });

        test('a released name goes to anybody; keys of its first owner still never go out twice', async () => {
            const release = (address) =>
                runCommand(
                    [
                        'prekeys',
                        'tombstone',
                        'release',
                        address,
                        '--data-dir',
                        context.server.dataDir,
                    ],
                    { env: context.server.env },
                );
            const [device, other] = [await registered(context.api), await registered(context.api)];
            const taken = expectOutcome(await context.api.bundle(device.address), 200);
            for (const owner of [device, other]) {
                expectOutcome(await context.api.delete(owner), 204);
                const { code, stderr } = await release(owner.address);
                assert.equal(code, 0, stderr);
            }
            const stranger = new Device({ address: other.address });
            expectOutcome(await context.api.register(stranger), 201);
            // The first owner comes back with the keys it uploaded before.
            const body = device.registration();
            body.oneTimePreKeys = [taken.oneTimePreKey];
            const again = expectOutcome(
                await context.api.write(device, 'POST', '/v1/keys/register', body),
                201,
            );
            assert.deepEqual(again.results.consumed, [taken.oneTimePreKey.keyId]);
            assert.deepEqual(again.results.accepted, []);
        });

        test('registering, fetching and replenishing each keep an identity alive', async () => {
            const devices = [];
            for (let i = 0; i < 4; i += 1) {
                devices.push(await registered(context.api));
            }
            const [byRegister, byFetch, byReplenish, idle] = devices;
            // Stale by a day, but cleanup does not run before the activity.
            await ageAndRestart(context.backend, devices, 31, { ...kEnv, SHADE_STALE_DAYS: '0' });
            byRegister.newSignedPreKey();
            expectOutcome(await context.api.register(byRegister), 200);
            expectOutcome(await context.api.bundle(byFetch.address), 200);
            expectOutcome(await context.api.replenish(byReplenish, {}), 200);
            await context.backend.restart(kEnv);
            await cleaned(context.backend);
            for (const device of [byRegister, byFetch, byReplenish]) {
                expectOutcome(await context.api.identityOf(device.address), 200);
            }
            expectError(await context.api.identityOf(idle.address), 404, 'SHADE_NOT_FOUND');
        });

        test('SHADE_STALE_DAYS=0 never purges', async () => {
            const device = await registered(context.api);
            await ageAndRestart(context.backend, [device], 4_000, {
                ...kEnv,
                SHADE_STALE_DAYS: '0',
            });
            expectOutcome(await context.api.identityOf(device.address), 200);
            await context.backend.restart(kEnv);
        });

        test('a dry run counts and removes nothing', async () => {
            const device = await registered(context.api);
            await ageAndRestart(context.backend, [device], 31, {
                ...kEnv,
                SHADE_CLEANUP_DRY_RUN: '1',
            });
            expectOutcome(await context.api.identityOf(device.address), 200);
            const metrics = await context.api.metrics();
            assert.equal(metrics.get('shade_purged_total'), 0);
            assert.ok(context.server.log.some(({ json }) => json?.dry_run === true));
            await context.backend.restart(kEnv);
        });

        test('with SHADE_STALE_TOUCH_ON_FETCH=0 strangers cannot keep a name alive', async () => {
            const device = await registered(context.api);
            const env = { ...kEnv, SHADE_STALE_TOUCH_ON_FETCH: '0' };
            await ageAndRestart(context.backend, [device], 31, { ...env, SHADE_STALE_DAYS: '0' });
            expectOutcome(await context.api.bundle(device.address), 200);
            await context.backend.restart(env);
            await cleaned(context.backend);
            expectError(await context.api.identityOf(device.address), 404, 'SHADE_NOT_FOUND');
            await context.backend.restart(kEnv);
        });

        test('more stale identities than one batch go in one run', async () => {
            const keep = await registered(context.api);
            const many = [];
            const worker = async () => {
                while (many.length < 520) {
                    const device = new Device();
                    many.push(device);
                    expectOutcome(await context.api.register(device), 201);
                }
            };
            await Promise.all(Array.from({ length: 16 }, worker));
            await ageAndRestart(context.backend, many, 90);
            const metrics = await context.api.metrics();
            assert.equal(metrics.get('shade_purged_total'), many.length);
            expectOutcome(await context.api.identityOf(keep.address), 200);
            expectError(await context.api.identityOf(many[0].address), 404, 'SHADE_NOT_FOUND');
        });
    },
    { env: kEnv },
);
