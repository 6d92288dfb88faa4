// Where envelopes go: to a key, a group or everyone, connected or not, and never into another mesh.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join, peerKeys } from '../../support/broker_peer.mjs';
import { delivered, onEachBroker, Scene, settled, texts } from '../../support/broker_scene.mjs';
import { until } from '../../support/server.mjs';

onEachBroker('addressing', (context) => {
    const expectTexts = async (peer, expected) => {
        await until(() => texts(peer).length >= expected.length, { what: `${expected}` });
        await settled(peer);
        assert.deepEqual(texts(peer), expected);
    };

    test('a push says who sent what, and ack and push name the same message', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const session = peerKeys();
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob, { session, hello: { displayName: 'bob "2"' } });
        const before = Date.now();
        bob.send({
            type: 'send',
            id: 'my "id"',
            targetSpec: ada.key,
            priority: 'low',
            ciphertext: 'a\tb "ü" \u{1f389}',
            nonce: 'not base64!',
            client_message_id: 'client-1',
            request_fingerprint: 'print',
            replyToId: 'earlier',
            _reqId: 'request',
            mentions: ['x'],
            bodyVersion: 2,
        });
        const ack = await bob.next((m) => m.id === 'my "id"');
        assert.match(ack.messageId ?? '', /^[A-Za-z0-9]{32}$/, JSON.stringify(ack));
        assert.deepEqual(ack, {
            type: 'ack',
            _reqId: 'request',
            id: 'my "id"',
            messageId: ack.messageId,
            queued: true,
        });
        const push = await ada.next((m) => m.type === 'push');
        const { createdAt, ...rest } = push;
        assert.match(createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        assert.ok(Date.parse(createdAt) >= before - 1000 && Date.parse(createdAt) <= Date.now());
        assert.deepEqual(rest, {
            type: 'push',
            messageId: ack.messageId,
            meshId: scene.mesh.id,
            senderPubkey: session.hex,
            senderMemberPubkey: scene.bob.keys.hex,
            senderMemberId: scene.bob.id,
            senderName: 'bob "2"',
            priority: 'low',
            nonce: 'not base64!',
            ciphertext: 'a\tb "ü" \u{1f389}',
            client_message_id: 'client-1',
            request_fingerprint: 'print',
            replyToId: 'earlier',
        });
    });

    test('a send without an id is acknowledged with an empty one', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        ada.send({ type: 'send', targetSpec: ada.key, nonce: '', ciphertext: 'to me' });
        const ack = await ada.next((m) => m.type === 'ack');
        assert.equal(ack.id, '');
        const push = await ada.push('to me');
        assert.equal(push.priority, 'next', 'the default');
        assert.ok(ada.messages.indexOf(ack) < ada.messages.indexOf(push), 'ack before push');
    });

    test('to a key: a session only its own, a member any one of its sessions', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const bob = await scene.peer(scene.bob);
        const first = await scene.peer(scene.ada, { session: peerKeys() });
        const second = await scene.peer(scene.ada, { session: peerKeys() });
        await bob.envelope(first.key, 'one');
        await bob.envelope(second.key, 'two');
        await bob.envelope(scene.ada.keys.hex, 'either');
        await first.push('one');
        await second.push('two');
        const all = () => [...texts(first), ...texts(second)].sort();
        await until(() => all().length >= 3, { what: 'the third' });
        await settled(first);
        await settled(second);
        assert.deepEqual(all(), ['either', 'one', 'two'], 'each once');
        await expectTexts(bob, []);
    });

    test('`*` and `@all` reach everyone but the sending session', async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
        const bob = await scene.peer(scene.bob, { session: peerKeys() });
        const others = [
            await scene.peer(scene.ada),
            await scene.peer(scene.cyd),
            await scene.peer(scene.bob, { session: peerKeys() }),
        ];
        await bob.envelope('*', 'star');
        await bob.envelope('@all', 'all');
        for (const other of others) {
            await other.push('all');
            await expectTexts(other, ['star', 'all']);
        }
        await expectTexts(bob, []);
    });

    test('a group is who joined it, until they leave', async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob, { groups: [{ name: 'front', role: 'lead' }] });
        const cyd = await scene.peer(scene.cyd, { groups: [{ name: 'fronts' }] });
        await ada.envelope('@front', 'one');
        cyd.send({ type: 'join_group', name: 'front' });
        await settled(cyd);
        await ada.envelope('@front', 'two');
        bob.send({ type: 'leave_group', name: 'front' });
        await settled(bob);
        await ada.envelope('@front', 'three');
        await cyd.push('three');
        await expectTexts(bob, ['one', 'two']);
        await expectTexts(cyd, ['two', 'three']);
        await expectTexts(ada, []);
    });

    test('a direct envelope waits for a member that is not there', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const bob = await scene.peer(scene.bob);
        const acks = [];
        for (const text of ['one', 'two', 'three']) {
            acks.push(await bob.envelope(scene.ada.keys.hex, text));
        }
        const ada = await scene.peer(scene.ada);
        await ada.push('three');
        await expectTexts(ada, ['one', 'two', 'three']);
        // And goes out once.
        await delivered(bob, acks[2]);
        await ada.close();
        await expectTexts(await scene.peer(scene.ada), []);
    });

    test('it waits through a restart of the broker', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const bob = await scene.peer(scene.bob);
        await bob.envelope(scene.ada.keys.hex, 'direct');
        await bob.envelope('*', 'to all');
        await bob.envelope('*', 'urgent', { priority: 'now' });
        await context.backend.restart();
        const ada = await scene.peer(scene.ada);
        await ada.push('urgent');
        await expectTexts(ada, ['direct', 'to all', 'urgent']);
    });

    test('envelopes to everyone and to groups reach absent members later', async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
        const groups = [{ name: 'front' }];
        const before = await scene.peer(scene.ada, { groups });
        await before.close();
        const bob = await scene.peer(scene.bob);
        await bob.envelope('@front', 'group');
        await bob.envelope('@back', 'nobody');
        await bob.envelope('*', 'all');
        const ada = await scene.peer(scene.ada, { sessionId: before.sessionId });
        await ada.push('all');
        await expectTexts(ada, ['group', 'all']);
        const cyd = await scene.peer(scene.cyd);
        await cyd.push('all');
        await expectTexts(cyd, ['all']);
    });

    test('a key that nobody has yet: its envelope waits for whoever joins with it', async () => {
        const scene = await Scene.make(context, 'bob');
        const keys = peerKeys();
        const bob = await scene.peer(scene.bob);
        const ack = await bob.envelope(keys.hex, 'welcome');
        assert.equal(ack.queued, true);
        const invite = await context.admin.invite(scene.mesh);
        const joined = await join(context.server.url, invite.token, keys.hex, 'late');
        const late = { id: joined.json.memberId, keys, mesh: scene.mesh };
        await (await scene.peer(late)).push('welcome');
    });

    test('nothing crosses from one mesh into another', async () => {
        const here = await Scene.make(context, 'ada', 'bob');
        const there = await Scene.make(context, 'cyd');
        // Ada's key is a member there, too.
        const invite = await context.admin.invite(there.mesh);
        const { json } = await join(context.server.url, invite.token, here.ada.keys.hex, 'ada');
        const groups = [{ name: 'front' }];
        const twin = await there.peer(
            { id: json.memberId, keys: here.ada.keys, mesh: there.mesh },
            { groups },
        );
        const cyd = await there.peer(there.cyd, { groups });
        const bob = await here.peer(here.bob, { groups });
        for (const target of [here.ada.keys.hex, there.cyd.keys.hex, '*', '@all', '@front']) {
            assert.equal((await bob.envelope(target, `to ${target}`)).queued, true);
        }
        bob.send({ type: 'set_state', key: 'secret', value: 1 });
        await settled(bob);
        const state = await cyd.request({ type: 'get_state', key: 'secret' });
        assert.equal(state.value, null);
        const { messageId } = await bob.envelope('*', 'one more');
        const status = await cyd.request({ type: 'message_status', messageId });
        assert.deepEqual([status.type, status.code], ['error', 'not_found']);
        for (const peer of [twin, cyd]) {
            assert.equal((await settled(peer)).peers.length, 2);
            await expectTexts(peer, []);
            assert.ok(!peer.messages.some(({ type }) => type === 'state_change'));
        }
        // Here it all waits for Ada.
        const ada = await here.peer(here.ada);
        await ada.push('one more');
        assert.equal(texts(ada)[0], `to ${here.ada.keys.hex}`);
    });

    const crafted = {
        'a quote': "front' or '1'='1",
        'a statement': "'; delete from mesh_message; --",
        'double quotes and a backslash': 'say "front" \\',
        braces: '{front,back}',
        'JSON': '[{"name":"front"}]',
        'a percent sign and an underscore': '%_',
        unicode: 'vorne \u00fc \u4e2d\u6587 \u{1f680}',
        'a parent and its child': 'front/end',
        'the word all': 'ALL',
        star: '*',
        'an at sign': '@front',
        'a key': 'a'.repeat(64),
    };
    for (const [what, name] of Object.entries(crafted)) {
        test(`a group named with ${what} is a group like any other`, async () => {
            const scene = await Scene.make(context, 'ada', 'bob', 'cyd', 'dan');
            const front = await scene.peer(scene.ada, { groups: [{ name: 'front' }] });
            const odd = await scene.peer(scene.bob, { groups: [{ name }] });
            const cyd = await scene.peer(scene.cyd);
            const waits = await cyd.envelope(scene.dan.keys.hex, 'for dan alone');
            assert.equal(waits.queued, true);
            await cyd.envelope(`@${name}`, 'odd');
            await cyd.envelope('@front', 'front');
            await odd.push('odd');
            await front.push('front');
            await expectTexts(odd, ['odd']);
            await expectTexts(front, ['front']);
            // Its member is found by it also when absent.
            await odd.close();
            await cyd.envelope(`@${name}`, 'later');
            const back = await scene.peer(scene.bob, { sessionId: odd.sessionId });
            await back.push('later');
            const self = (await settled(back)).peers.find((p) => p.pubkey === back.key);
            assert.deepEqual(self.groups, [{ name }]);
        });
    }

    const impossible = {
        NUL: 'front\u0000',
        'a line feed': 'front\nback',
        'a direction mark': 'front\u202e',
        'nothing': '',
        'blanks around it': ' front ',
        '65 characters': 'x'.repeat(65),
    };
    for (const [what, name] of Object.entries(impossible)) {
        test(`a group's name with ${what} is refused`, async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const ada = await scene.peer(scene.ada);
            const joined = await ada.request({ type: 'join_group', name });
            assert.deepEqual([joined.type, joined.code], ['error', 'invalid_argument']);
            const sent = await ada.envelope(`@${name}`, 'x');
            assert.deepEqual([sent.type, sent.code], ['error', 'invalid_argument']);
            const bob = await scene.stranger(scene.bob);
            const hello = await bob.request({ ...bob.helloMessage({ groups: [{ name }] }) });
            assert.deepEqual([hello.type, hello.code], ['error', 'invalid_argument']);
            assert.deepEqual((await settled(ada)).peers.map((p) => p.groups), [[]]);
        });
    }
});
