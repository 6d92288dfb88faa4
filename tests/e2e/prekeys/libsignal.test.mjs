// The official libsignal through a real server: complete PQXDH sessions in every state of the stock.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Device, signal } from '../../support/client.mjs';
import { expectOutcome } from '../../support/expect.mjs';
import { LibsignalParty } from '../../support/libsignal_party.mjs';
import { onEachStore } from '../../support/stores.mjs';

// Alice writes first, Bob answers, and a few more go back and forth.
async function converse(alice, bob, bundle) {
    await alice.startSession(bundle, bob.address);
    const hello = await alice.encrypt('hello from Alice', bob.address);
    assert.equal(hello.type, signal.CiphertextMessageType.PreKey);
    const read = await bob.decrypt(hello, alice.address);
    assert.equal(read.text, 'hello from Alice');
    assert.equal(read.preKeyId, bundle.oneTimePreKey?.keyId ?? null);
    const reply = await bob.encrypt('hello from Bob', alice.address);
    assert.equal(reply.type, signal.CiphertextMessageType.Whisper);
    assert.equal((await alice.decrypt(reply, bob.address)).text, 'hello from Bob');
    for (let i = 0; i < 3; i += 1) {
        const there = await alice.encrypt(`there ${i}`, bob.address);
        assert.equal((await bob.decrypt(there, alice.address)).text, `there ${i}`);
        const back = await bob.encrypt(`back ${i}`, alice.address);
        assert.equal((await alice.decrypt(back, bob.address)).text, `back ${i}`);
    }
}

onEachStore('libsignal PQXDH', (context) => {
    for (const scheme of ['A', 'B']) {
        test(`sessions in all three states of the stock, writes by scheme ${scheme}`, async () => {
            const device = new Device({ suite: 'pqxdh-xeddsa' });
            expectOutcome(
                await context.api.register(device, { scheme, oneTime: 2, kemOneTime: 1 }),
                201,
            );
            const bob = LibsignalParty.fromDevice(device, 'bob');
            const states = [];
            for (let i = 0; i < 4; i += 1) {
                const alice = LibsignalParty.fresh(`alice-${i}`);
                const bundle = expectOutcome(await context.api.bundle(device.address), 200);
                await converse(alice, bob, bundle);
                states.push([bundle.oneTimeStatus, bundle.kemPreKey.lastResort]);
            }
            assert.deepEqual(states, [
                ['issued', false],
                ['issued', true],
                ['exhausted', true],
                ['exhausted', true],
            ]);
            assert.equal(new Set(bob.removedPreKeys).size, 2, 'both one-time keys were used once');
            assert.deepEqual(bob.usedKyberPreKeys, [5000, 900, 900, 900]);

            // Bob refills, rotates, and is reached with fresh keys again.
            const oneTimePreKeys = device.newOneTimePreKeys(1);
            const kemOneTimePreKeys = device.newKemPreKeys(1);
            expectOutcome(
                await context.api.replenish(device, { scheme, oneTimePreKeys, kemOneTimePreKeys }),
                200,
            );
            const signedPreKey = device.newSignedPreKey();
            const kemLastResortPreKey = device.newKemLastResort();
            expectOutcome(
                await context.api.rotateSignedPreKey(device, {
                    scheme,
                    signedPreKey,
                    kemLastResortPreKey,
                }),
                200,
            );
            const refreshed = LibsignalParty.fromDevice(device, 'bob');
            const late = LibsignalParty.fresh('alice-late');
            const bundle = expectOutcome(await context.api.bundle(device.address), 200);
            assert.equal(bundle.signedPreKey.keyId, signedPreKey.keyId);
            assert.equal(bundle.kemPreKey.lastResort, false);
            await converse(late, refreshed, bundle);
        });
    }

    test('two people who are both registered, over claims', async () => {
        const [a, b] = [
            new Device({ suite: 'pqxdh-xeddsa' }),
            new Device({ suite: 'pqxdh-xeddsa' }),
        ];
        for (const device of [a, b]) {
            expectOutcome(await context.api.register(device, { oneTime: 1, kemOneTime: 1 }), 201);
        }
        const alice = LibsignalParty.fromDevice(a, 'alice');
        const bob = LibsignalParty.fromDevice(b, 'bob');
        const claimId = Buffer.from('sixteen bytes...').toString('base64');
        const { results } = expectOutcome(
            await context.api.claimAs(a, [{ address: b.address, claimId }]),
            200,
        );
        await converse(alice, bob, results[0].bundle);
        // Both compute one safety number from what the server says about the other.
        const identityOf = async (device) => {
            const { identityKey } = expectOutcome(
                await context.api.identityOf(device.address),
                200,
            );
            return signal.PublicKey.deserialize(new Uint8Array(Buffer.from(identityKey, 'base64')));
        };
        const number = (mine, me, theirs, them) =>
            signal.Fingerprint.new(
                5200,
                2,
                new Uint8Array(Buffer.from(me)),
                mine,
                new Uint8Array(Buffer.from(them)),
                theirs,
            )
                .displayableFingerprint()
                .toString();
        assert.equal(
            number(alice.identity.publicKey, 'alice', await identityOf(b), 'bob'),
            number(bob.identity.publicKey, 'bob', await identityOf(a), 'alice'),
        );
    });

    test('libsignal notices when a bundle is not what the owner signed', async () => {
        const device = new Device({ suite: 'pqxdh-xeddsa' });
        expectOutcome(await context.api.register(device, { oneTime: 3 }), 201);
        const peer = signal.ProtocolAddress.new('bob', 1);
        const stranger = new Device({ suite: 'pqxdh-xeddsa' });
        const swaps = {
            'signed prekey': (bundle) => ({
                ...bundle,
                signedPreKey: { ...bundle.signedPreKey, ...stranger.newOneTimePreKeys(1)[0] },
            }),
            'KEM key': (bundle) => ({
                ...bundle,
                kemPreKey: { ...stranger.newKemPreKey(900), lastResort: true },
            }),
        };
        for (const [name, swap] of Object.entries(swaps)) {
            const bundle = expectOutcome(await context.api.bundle(device.address), 200);
            const alice = LibsignalParty.fresh('alice');
            await assert.rejects(alice.startSession(swap(bundle), peer), undefined, name);
        }
    });

    test('a changed identity is noticed by a client that knows the old one', async () => {
        const device = new Device({ suite: 'pqxdh-xeddsa' });
        expectOutcome(await context.api.register(device, { oneTime: 1 }), 201);
        const bob = LibsignalParty.fromDevice(device, 'bob');
        const alice = LibsignalParty.fresh('alice');
        await alice.startSession(
            expectOutcome(await context.api.bundle(device.address), 200),
            bob.address,
        );
        const rotation = device.rotation();
        expectOutcome(
            await context.api.write(device, 'POST', '/v1/keys/rotate-identity', rotation.body, {
                signedAt: rotation.signedAt,
            }),
            200,
        );
        const bundle = expectOutcome(await context.api.bundle(device.address), 200);
        await assert.rejects(alice.startSession(bundle, bob.address), /identity/i);
    });
});
