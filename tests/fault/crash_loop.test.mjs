// kill -9 under load, again and again. Afterwards: no one-time key was ever handed out twice, and
// nothing acknowledged is gone. Claims are repeated with their id after a crash, so the account is
// exact; NAVE_KILL_ROUNDS sets how often.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { b64, Device } from '../support/client.mjs';
import { expectOutcome } from '../support/expect.mjs';
import { onEachStore } from '../support/stores.mjs';

const kRounds = Number(process.env.NAVE_KILL_ROUNDS ?? 8);
const kTargets = 4;
const kBatch = 20;

// What clients know: every key uploaded, and every key seen in a bundle.
class Ledger {
    constructor() {
        this.uploaded = new Map(); // public key -> address
        this.issued = new Map(); // public key -> claim id
        this.lostFetches = 0;
    }
    upload(address, keys) {
        keys.forEach(({ publicKey }) => this.uploaded.set(publicKey, address));
    }
    issue(bundle, claim) {
        for (const key of [bundle.oneTimePreKey, bundle.kemPreKey]) {
            if (!key || key.lastResort) {
                continue;
            }
            const before = this.issued.get(key.publicKey);
            assert.ok(
                before === undefined || before === claim,
                `key ${key.keyId} of ${bundle.address} went to ${before} and to ${claim}`,
            );
            assert.equal(this.uploaded.get(key.publicKey), bundle.address, 'never uploaded');
            this.issued.set(key.publicKey, claim);
        }
    }
}

class Load {
    constructor(context, devices, ledger) {
        this.context = context;
        this.devices = devices;
        this.ledger = ledger;
        this.openClaims = new Map(); // claim id -> address, not yet answered
        this.openUploads = new Map(); // device -> members, not yet answered
        this.answered = 0;
        this.running = false;
    }

    // Runs workers until stop(); transport errors end a worker's request, not the worker.
    start() {
        this.running = true;
        const workers = [
            ...Array.from({ length: 6 }, () => this.repeat(() => this.claim())),
            this.repeat(() => this.fetch()),
            ...this.devices.map((device) => this.repeat(() => this.upload(device))),
        ];
        this.done = Promise.all(workers);
    }

    async repeat(step) {
        while (this.running) {
            try {
                await step();
                this.answered += 1;
            } catch (error) {
                if (error.code === 'ERR_ASSERTION' || /not as described/.test(error.message)) {
                    throw error;
                }
                // The server is gone: wait for the next round.
                return;
            }
        }
    }

    pick() {
        return this.devices[crypto.randomInt(this.devices.length)];
    }

    async claim() {
        const id = b64(crypto.randomBytes(16));
        const { address } = this.pick();
        this.openClaims.set(id, address);
        await this.settleClaim(id, address);
    }

    async settleClaim(id, address) {
        const response = await this.context.api.claim([{ address, claimId: id }]);
        const { results } = expectOutcome(response, 200);
        this.ledger.issue(results[0].bundle, id);
        this.openClaims.delete(id);
    }

    // A plain fetch cannot be repeated: a lost answer burns a key.
    async fetch() {
        const { address } = this.pick();
        let response;
        try {
            response = await this.context.api.bundle(address);
        } catch (error) {
            this.ledger.lostFetches += 1;
            throw error;
        }
        this.ledger.issue(expectOutcome(response, 200), `fetch ${crypto.randomUUID()}`);
    }

    async upload(device) {
        const stock = expectOutcome(await this.context.api.count(device), 200);
        if (stock.oneTimePreKeyCount > 100 || stock.kemOneTimePreKeyCount > 70) {
            return;
        }
        const members = {
            oneTimePreKeys: device.newOneTimePreKeys(kBatch),
            kemOneTimePreKeys: device.newKemPreKeys(2),
        };
        this.ledger.upload(device.address, members.oneTimePreKeys);
        this.ledger.upload(device.address, members.kemOneTimePreKeys);
        this.openUploads.set(device, members);
        await this.settleUpload(device, members);
    }

    async settleUpload(device, members) {
        const response = await this.context.api.replenish(device, { scheme: 'B', ...members });
        const outcome = expectOutcome(response, 200);
        assert.deepEqual(outcome.results.conflict, []);
        assert.deepEqual(outcome.kemResults.conflict, []);
        this.openUploads.delete(device);
    }

    // After a crash: everything without an answer is repeated until it has one.
    async settle() {
        for (const [id, address] of [...this.openClaims]) {
            await this.settleClaim(id, address);
        }
        for (const [device, members] of [...this.openUploads]) {
            await this.settleUpload(device, members);
        }
    }
}

onEachStore('kill -9 under load', (context) => {
    test(`${kRounds} crashes: nothing twice, nothing lost`, async (t) => {
        const ledger = new Ledger();
        const devices = [];
        for (let i = 0; i < kTargets; i += 1) {
            const device = new Device({ suite: 'pqxdh-ed25519' });
            const body = device.registration({ oneTime: 60, kemOneTime: 10 });
            ledger.upload(device.address, body.oneTimePreKeys);
            ledger.upload(device.address, body.kemOneTimePreKeys);
            expectOutcome(await context.api.write(device, 'POST', '/v1/keys/register', body), 201);
            devices.push(device);
        }
        const load = new Load(context, devices, ledger);
        const witnesses = [];
        for (let round = 0; round < kRounds; round += 1) {
            const seen = load.answered;
            load.start();
            // Kill in the middle of work: some answers after a random number of them.
            const goal = seen + 50 + crypto.randomInt(300);
            const end = Date.now() + 20_000;
            while (load.answered < goal && Date.now() < end) {
                await new Promise((resolve) => setImmediate(resolve));
            }
            const witness = new Device();
            witnesses.push([witness, await context.api.register(witness)]);
            await context.server.kill();
            load.running = false;
            await load.done;
            await context.server.launch();
            context.backend.connect();
            await load.settle();
            for (const [device, response] of witnesses) {
                expectOutcome(response, 201);
                expectOutcome(await context.api.identityOf(device.address), 200);
            }
        }
        // Take everything out, so that what is missing shows.
        for (const device of devices) {
            for (let left = 400; left > 0; left -= 1) {
                const id = b64(crypto.randomBytes(16));
                const { results } = expectOutcome(
                    await context.api.claim([{ address: device.address, claimId: id }]),
                    200,
                );
                ledger.issue(results[0].bundle, id);
                const { oneTimeStatus, kemPreKey } = results[0].bundle;
                if (oneTimeStatus === 'exhausted' && kemPreKey.lastResort) {
                    break;
                }
            }
        }
        const missing = [...ledger.uploaded.keys()].filter((key) => !ledger.issued.has(key));
        t.diagnostic(
            `${load.answered} answers, ${ledger.uploaded.size} keys uploaded, ` +
                `${ledger.issued.size} handed out, ${missing.length} burnt by ` +
                `${ledger.lostFetches} lost answers`,
        );
        assert.ok(
            missing.length <= 2 * ledger.lostFetches,
            `${missing.length} keys vanished, only ${ledger.lostFetches} answers were lost`,
        );
    });
});
