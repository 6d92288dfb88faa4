// session_hello: a session's key that the member's key vouches for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerKeys } from '../../support/broker_peer.mjs';
import { expectRefused, onEachBroker, Scene, sessionHello } from '../../support/broker_scene.mjs';

const kHour = 3600 * 1000;

onEachBroker('session_hello', (context) => {
    test('the session is an address of its own, the member is still reached', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const session = peerKeys();
        const peer = await scene.stranger(scene.ada, { session });
        peer.send(sessionHello(scene.ada, session, { message: { displayName: 'a window' } }));
        const ack = await peer.next((m) => m.type === 'hello_ack');
        assert.equal(ack.memberDisplayName, 'a window');
        const bob = await scene.peer(scene.bob);
        await bob.envelope(session.hex, 'to the session');
        await bob.envelope(scene.ada.keys.hex, 'to the member');
        await peer.push('to the session');
        await peer.push('to the member');
        await peer.envelope(scene.bob.keys.hex, 'back');
        const push = await bob.push('back');
        assert.equal(push.senderPubkey, session.hex);
        assert.equal(push.senderMemberPubkey, scene.ada.keys.hex);
        assert.equal(push.senderMemberId, scene.ada.id);
    });

    test('an attestation may last 24 hours', async () => {
        const scene = await Scene.make(context, 'ada');
        const session = peerKeys();
        const peer = await scene.stranger(scene.ada);
        const expiresAt = Date.now() + 24 * kHour;
        peer.send(sessionHello(scene.ada, session, { attestation: { expiresAt } }));
        await peer.next((m) => m.type === 'hello_ack');
    });

    const refusals = {
        'a session key that is none': {
            change: () => ({ message: { sessionPubkey: 'no key' } }),
            expect: { code: 'bad_session_pubkey' },
        },
        'a parent key that is none': {
            change: () => ({ message: { parentMemberPubkey: 'no key' } }),
            expect: { code: 'bad_parent_pubkey' },
        },
        'an attestation for another session': {
            change: () => ({ attestation: { sessionPubkey: peerKeys().hex } }),
            expect: { code: 'attestation_mismatch' },
        },
        'an attestation by another parent': {
            change: () => ({ attestation: { parentMemberPubkey: peerKeys().hex } }),
            expect: { code: 'attestation_mismatch' },
        },
        'no attestation': {
            change: () => ({ message: { parentAttestation: undefined } }),
            expect: { code: 'attestation_mismatch' },
        },
        'an attestation whose signature has no shape': {
            change: () => ({ attestation: { signature: 'none' } }),
            expect: { code: 'malformed', label: 'attestation_malformed' },
        },
        'an attestation that has ended': {
            change: () => ({ attestation: { expiresAt: Date.now() - 1_000 } }),
            expect: { code: 'expired', label: 'attestation_expired' },
        },
        'an attestation for longer than 24 hours': {
            change: () => ({ attestation: { expiresAt: Date.now() + 24 * kHour + 60_000 } }),
            expect: { code: 'ttl_too_long', label: 'attestation_ttl_too_long' },
        },
        'an attestation signed by another key': {
            change: () => ({ parent: peerKeys() }),
            expect: { code: 'bad_signature', label: 'attestation_bad_signature' },
        },
        'an attestation signed for another time': {
            change: (scene, session) => ({
                attestation: {
                    signature: scene.ada.keys.sign(
                        `claudemesh-session-attest|${scene.ada.keys.hex}|${session.hex}|1`,
                    ),
                },
            }),
            expect: { code: 'bad_signature', label: 'attestation_bad_signature' },
        },
        'a skewed hello': {
            change: () => ({ message: { timestamp: Date.now() - 61_500 } }),
            expect: { code: 'timestamp_skew', label: 'session_timestamp_skew' },
        },
        'a hello whose signature has no shape': {
            change: () => ({ message: { signature: 'ff' } }),
            expect: { code: 'malformed', label: 'session_malformed' },
        },
        'a hello signed by another key': {
            change: () => ({ message: { signature: peerKeys().sign('x') } }),
            expect: { code: 'bad_signature', label: 'session_bad_signature' },
        },
        'the id of another member': {
            change: (scene) => ({ message: { parentMemberId: scene.bob.id } }),
            expect: { code: 'parent_member_id_mismatch' },
        },
        'a parent of no mesh': {
            member: (scene) => ({ ...scene.ada, keys: peerKeys() }),
            expect: { code: 'unauthorized' },
        },
    };
    for (const [name, { change, member, expect }] of Object.entries(refusals)) {
        test(`refused: ${name}`, async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const session = peerKeys();
            const peer = await scene.stranger(scene.ada);
            const who = member?.(scene) ?? scene.ada;
            const message = sessionHello(who, session, change?.(scene, session));
            await expectRefused(context, peer, message, expect);
        });
    }

    test('refused: a replay', async () => {
        const scene = await Scene.make(context, 'ada');
        const message = sessionHello(scene.ada, peerKeys());
        const first = await scene.stranger(scene.ada);
        first.send(message);
        await first.next((m) => m.type === 'hello_ack');
        await expectRefused(context, await scene.stranger(scene.ada), message, {
            code: 'replayed',
        });
    });
});
