// Disaster recovery as the guide describes it: backups of both services taken while registrations
// and messages go on, brought back in an empty place with nothing but the backups and the copy of
// the log's key. Everything acknowledged before a backup began must be there. What restoring does to
// keys, epochs and logs in detail is tested in contract/prekeys/backup and fault/restore.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BrokerAdmin, Peer } from '../support/broker_peer.mjs';
import { Api, Device } from '../support/client.mjs';
import { expectOutcome } from '../support/expect.mjs';
import { Postgres, postgresMissing } from '../support/postgres.mjs';
import {
    binary,
    cleanEnvironment,
    runCommand,
    runWhenFree,
    Server,
    temporaryDirectory,
    until,
} from '../support/server.mjs';
import { kBrokerAdminToken, kUnlimited, stores } from '../support/stores.mjs';
import { verifyHistory } from '../support/transparency.mjs';

const kDrill = fileURLToPath(new URL('../../deploy/drill.sh', import.meta.url));
const kSettings = {
    ...kUnlimited,
    BROKER_ADMIN_TOKEN: kBrokerAdminToken,
    BROKER_SEND_LIMIT: '100000/s:100000',
};
const kServices = ['prekeys', 'broker'];

function missing(store) {
    const reason = store === 'postgres' && postgresMissing();
    if (reason && process.env.NAVE_REQUIRE_SERVICES === '1') {
        throw new Error(reason);
    }
    if (reason) {
        console.error(`*** SKIPPED on PostgreSQL: ${reason}`);
    }
    return reason;
}

const drill = (args, more = {}) =>
    new Promise((resolve) => {
        const env = { ...cleanEnvironment(more), NAVE: binary() };
        execFile(kDrill, args, { env, timeout: 120_000 }, (error, stdout, stderr) =>
            resolve({ code: error ? (error.code ?? -1) : 0, stdout, stderr }),
        );
    });

// Registers, fetches and sends until told to stop; what was acknowledged is noted in order.
class Load {
    constructor(server, { sender, receiver }) {
        this.api = new Api(server.url, { prefix: '/prekeys' });
        this.sender = sender;
        this.receiver = receiver;
        this.devices = [];
        this.issued = []; // { device, keyId }
        this.sent = [];
        this.running = true;
        this.done = Promise.all([this.register(), this.send()]);
    }

    async register() {
        while (this.running) {
            const device = new Device();
            device.uploaded = device.registration({ oneTime: 3 });
            const path = '/v1/keys/register';
            expectOutcome(await this.api.write(device, 'POST', path, device.uploaded), 201);
            this.devices.push(device);
            const bundle = expectOutcome(await this.api.bundle(device.address), 200);
            this.issued.push({ device, keyId: bundle.oneTimePreKey.keyId });
        }
    }

    async send() {
        while (this.running) {
            const text = `envelope ${this.sent.length}`;
            const ack = await this.sender.envelope(this.receiver.keys.hex, text);
            assert.equal(ack.type, 'ack', JSON.stringify(ack));
            this.sent.push(text);
        }
    }

    passed(registrations, envelopes) {
        return until(
            () => this.devices.length >= registrations && this.sent.length >= envelopes,
            { deadlineMs: 120_000, what: `${registrations} registrations, ${envelopes} envelopes` },
        );
    }

    async stop() {
        this.running = false;
        await this.done;
    }
}

for (const store of stores()) {
    describe(`recovery from backups [${store}]`, { skip: missing(store) }, () => {
        const directory = temporaryDirectory('nave-recovery');
        const fileOf = (service) => path.join(directory, `${service}.backup`);
        const key = path.join(directory, 'shade-kt.key');
        let postgres;
        let origin; // the server that is lost
        let scene;
        let load;
        let acknowledged; // before the backups began

        const settings = async () =>
            store === 'postgres'
                ? { ...kSettings, DATABASE_URL: await postgres.createDatabase() }
                : kSettings;
        const run = (server, command, ...args) =>
            runWhenFree([command, ...args, '--data-dir', server.dataDir], { env: server.env });

        before(async () => {
            if (store === 'postgres') {
                postgres = await Postgres.start();
            }
            origin = await Server.start({ services: [], env: await settings() });
            const url = `${origin.url}/broker`;
            const admin = new BrokerAdmin(url, kBrokerAdminToken);
            const mesh = await admin.createMesh('demo');
            scene = { mesh, ada: await admin.member(mesh, 'ada'), bob: await admin.member(mesh, 'bob') };
            // Bob is away: what he is sent waits for him.
            const sender = await Peer.connect(url, scene.ada);
            load = new Load(origin, { sender, receiver: scene.bob });
            await load.passed(10, 50);
            acknowledged = {
                devices: [...load.devices],
                sent: [...load.sent],
            };
            for (const service of kServices) {
                const { code, stderr } = await run(origin, 'backup', fileOf(service), service);
                assert.equal(code, 0, stderr);
            }
            // The load never stood still, and goes on for a while.
            await load.passed(acknowledged.devices.length + 5, acknowledged.sent.length + 20);
            await load.stop();
            await sender.close();
            fs.copyFileSync(path.join(origin.dataDir, 'shade-kt.key'), key);
        });
        after(async () => {
            await origin?.finish();
            await postgres?.finish();
            fs.rmSync(directory, { recursive: true, force: true });
        });

        test('the drill passes on the backups and leaves nothing behind', async () => {
            const scratch = fs.mkdtempSync(path.join(directory, 'tmp-'));
            const { code, stdout, stderr } = await drill(
                ['--key', key, ...kServices.map((service) => `${service}=${fileOf(service)}`)],
                { TMPDIR: scratch },
            );
            assert.equal(code, 0, stderr);
            assert.match(stdout, /the transparency log is signed/);
            assert.match(stdout, /the audit log of demo is whole/);
            assert.match(stdout, /^drill: passed$/m);
            assert.deepEqual(fs.readdirSync(scratch), []);
        });

        test('the drill fails on what is no backup, of another service or of another key', async () => {
            const other = path.join(directory, 'other.key');
            fs.writeFileSync(other, `${'ab'.repeat(32)}\n`, { mode: 0o600 });
            for (const [args, reason] of [
                [[`broker=${fileOf('prekeys')}`], /does not hold the table/],
                [[`broker=${path.join(directory, 'none')}`], /cannot read/],
                [[`prekeys=${fileOf('prekeys')}`], /needs --key/],
                [['--key', other, `prekeys=${fileOf('prekeys')}`], /doctor found something/],
            ]) {
                const { code, stdout, stderr } = await drill(args);
                assert.equal(code, 1, `${args.join(' ')}\n${stdout}${stderr}`);
                assert.match(stderr, reason);
                assert.ok(!/passed/.test(stdout));
            }
        });

        test('a damaged backup is refused with one clear line and changes nothing', async () => {
            const whole = fs.readFileSync(fileOf('prekeys'));
            const address = Buffer.from(acknowledged.devices[0].address);
            const at = whole.indexOf(address);
            assert.ok(at > 0, 'an address stands in the file as it is');
            const changed = Buffer.from(whole);
            changed[at] ^= 1;
            const empty = temporaryDirectory('nave-empty');
            for (const [name, bytes] of [
                ['changed', changed],
                ['cut', whole.subarray(0, Math.floor(whole.length / 2))],
                ['empty', Buffer.alloc(0)],
            ]) {
                const file = path.join(directory, `${name}.backup`);
                fs.writeFileSync(file, bytes);
                const { code, stderr } = await runCommand([
                    ...['restore', file, 'prekeys', '--data-dir', empty],
                ]);
                assert.equal(code, 1, `${name}: ${stderr}`);
                const said = stderr.split('\n').filter((line) => line.startsWith('nave: '));
                assert.equal(said.length, 1, stderr);
                assert.match(said[0], /backup/i, name);
                assert.ok(said[0].includes(file), `${name}: ${said[0]}`);
            }
            const server = await Server.start({ dataDir: empty });
            const api = new Api(server.url);
            for (const { address: name } of acknowledged.devices.slice(0, 3)) {
                assert.equal((await api.bundle(name)).status, 404);
            }
            await server.finish();
            fs.rmSync(empty, { recursive: true });
        });

        test('no backup goes over a running server', async () => {
            for (const service of kServices) {
                const { code, stderr } = await runCommand(
                    ['restore', fileOf(service), service, '--data-dir', origin.dataDir],
                    { env: origin.env },
                );
                assert.equal(code, 1);
                assert.match(stderr, /stop it first/);
            }
            const last = load.devices.at(-1);
            assert.equal((await load.api.bundle(last.address)).status, 200);
        });

        test('elsewhere, everything acknowledged before is there', async () => {
            const dataDir = temporaryDirectory('nave-elsewhere');
            const env = await settings();
            fs.copyFileSync(key, path.join(dataDir, 'shade-kt.key'));
            for (const service of kServices) {
                const restore = await run({ dataDir, env }, 'restore', fileOf(service), service);
                assert.equal(restore.code, 0, restore.stderr);
            }
            const server = await Server.start({ services: [], env, dataDir });
            try {
                const api = new Api(server.url, { prefix: '/prekeys' });
                const keys = expectOutcome(await api.request('GET', '/v1/kt/keys'), 200);
                for (const device of acknowledged.devices) {
                    const bundle = expectOutcome(await api.bundle(device.address), 200);
                    assert.deepEqual(bundle.signedPreKey, device.signedPreKey);
                    assert.equal(bundle.oneTimePreKey, null, 'no key goes out twice');
                    const proof = await api.request('GET', `/v1/kt/proof/${device.address}`);
                    const { events } = verifyHistory(
                        expectOutcome(proof, 200),
                        device.address,
                        keys,
                    );
                    assert.equal(events.at(-1).kind, 'register');
                }
                // Keys handed out before or after the backup are not taken again either.
                const known = new Set(acknowledged.devices);
                for (const { device, keyId } of load.issued.filter((one) => known.has(one.device))) {
                    const { oneTimePreKeys } = device.uploaded;
                    const { results } = expectOutcome(
                        await api.replenish(device, { oneTimePreKeys }),
                        200,
                    );
                    assert.ok(results.consumed.includes(keyId));
                    assert.deepEqual(results.accepted, []);
                }
                const bob = await Peer.connect(`${server.url}/broker`, scene.bob);
                const { length } = acknowledged.sent;
                await until(() => bob.pushes().length >= length, { deadlineMs: 60_000 });
                assert.deepEqual(
                    bob
                        .pushes()
                        .slice(0, length)
                        .map(({ ciphertext }) => ciphertext),
                    acknowledged.sent,
                );
                await bob.close();
            } finally {
                await server.finish();
            }
            const doctor = await run({ dataDir, env }, 'doctor');
            assert.equal(doctor.code, 0, doctor.stdout);
            assert.ok(!/FAIL|warn/i.test(doctor.stdout), doctor.stdout);
            fs.rmSync(dataDir, { recursive: true });
        });
    });
}
