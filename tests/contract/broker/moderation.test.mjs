// kick, disconnect, ban, unban, list_bans: who may, whom they meet, and what those see of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join, peerKeys } from '../../support/broker_peer.mjs';
import { expectRefused, onEachBroker, Scene, settled } from '../../support/broker_scene.mjs';

const kKicked = { code: 4001, reason: 'kicked' };
const kBanned = { code: 4002, reason: 'banned' };
const kDisconnected = { code: 1000, reason: 'disconnected' };

onEachBroker('moderation', (context) => {
    // Members by name, and `boss`, who is an admin.
    const moderated = async (...names) => {
        const scene = await Scene.make(context, ...names);
        scene.boss = await context.admin.member(scene.mesh, 'boss', { role: 'admin' });
        return scene;
    };
    const isOpen = (peer) => peer.end === undefined;
    const names = async (peer) =>
        (await settled(peer)).peers.map(({ displayName }) => displayName).sort();
    const backAgain = async (scene, member, options) => {
        const peer = await scene.peer(member, options);
        assert.equal(peer.ack.type, 'hello_ack');
        return peer;
    };

    test('members may not', async () => {
        const scene = await moderated('ada', 'bob');
        const [ada, bob] = [await scene.peer(scene.ada), await scene.peer(scene.bob)];
        for (const request of [
            { type: 'kick', all: true },
            { type: 'kick' },
            { type: 'disconnect', target: 'bob' },
            { type: 'ban', target: scene.bob.keys.hex },
            { type: 'unban', target: scene.bob.keys.hex },
            { type: 'list_bans' },
        ]) {
            const answer = await ada.request(request);
            assert.deepEqual([answer.type, answer.code], ['error', 'forbidden'], request.type);
        }
        await settled(bob);
        assert.ok(isOpen(bob));
    });

    test('an admin of one mesh is nobody in another', async () => {
        const [here, there] = [await moderated('ada'), await moderated('ada')];
        const boss = await here.peer(here.boss);
        const ada = await there.peer(there.ada);
        for (const target of [there.ada.id, there.ada.keys.hex]) {
            assert.equal((await boss.request({ type: 'ban', target })).code, 'not_found');
            assert.equal((await boss.request({ type: 'kick', target })).kicked, 0);
        }
        assert.equal((await boss.request({ type: 'kick', all: true })).kicked, 0);
        await settled(ada);
        assert.ok(isOpen(ada));
    });

    test('kick: by name, key, session key or id; others stay', async () => {
        const scene = await moderated('ada', 'bob');
        const boss = await scene.peer(scene.boss);
        const bob = await scene.peer(scene.bob);
        const session = peerKeys();
        for (const target of ['ada', scene.ada.keys.hex, session.hex, scene.ada.id]) {
            const ada = await scene.peer(scene.ada, { session });
            const answer = await boss.request({ type: 'kick', target });
            const { _reqId, ...said } = answer;
            assert.deepEqual(said, { type: 'kick_ack', kicked: 1, affected: ['ada'] }, target);
            assert.deepEqual(await ada.closed, kKicked);
            // Its place is not kept.
            assert.deepEqual(await names(boss), ['bob', 'boss']);
        }
        assert.ok(isOpen(bob));
        assert.equal((await boss.request({ type: 'kick', target: 'nobody' })).kicked, 0);
        await backAgain(scene, scene.ada);
    });

    test('a session key meets that session only, a member key all of them', async () => {
        const scene = await moderated('ada');
        const boss = await scene.peer(scene.boss);
        const session = peerKeys();
        const one = await scene.peer(scene.ada, { session });
        const two = await scene.peer(scene.ada);
        await boss.request({ type: 'kick', target: session.hex });
        assert.deepEqual(await one.closed, kKicked);
        await settled(two);
        const three = await scene.peer(scene.ada, { session: peerKeys() });
        assert.equal((await boss.request({ type: 'kick', target: scene.ada.keys.hex })).kicked, 2);
        assert.deepEqual([await two.closed, await three.closed], [kKicked, kKicked]);
    });

    test('all: everybody but the one who asks', async () => {
        const scene = await moderated('ada', 'bob');
        const [ada, bob] = [await scene.peer(scene.ada), await scene.peer(scene.bob)];
        const boss = await scene.peer(scene.boss);
        const other = await scene.peer(scene.boss);
        const answer = await boss.request({ type: 'kick', all: true });
        assert.equal(answer.kicked, 3);
        assert.deepEqual(answer.affected.sort(), ['ada', 'bob', 'boss']);
        for (const peer of [ada, bob, other]) {
            assert.deepEqual(await peer.closed, kKicked);
        }
        assert.deepEqual(await names(boss), ['boss']);
    });

    test('stale: who has not been heard for that long', async () => {
        const scene = await moderated('ada', 'bob');
        const boss = await scene.peer(scene.boss);
        const ada = await scene.peer(scene.ada);
        const none = await boss.request({ type: 'disconnect', stale: 60_000 });
        assert.deepEqual([none.kicked, none.affected], [0, []]);
        const both = await boss.request({ type: 'disconnect', stale: 0 });
        assert.deepEqual([both.kicked, both.affected], [1, ['ada']]);
        assert.deepEqual(await ada.closed, kDisconnected);
    });

    test('disconnect: the peer may come back to its place; a place left is cleared', async () => {
        const scene = await moderated('ada');
        const boss = await scene.peer(scene.boss);
        const session = peerKeys();
        const before = await scene.peer(scene.ada, { session });
        before.send({ type: 'set_summary', summary: 'here before' });
        await settled(before);
        const answer = await boss.request({ type: 'disconnect', target: 'ada' });
        assert.deepEqual([answer.type, answer.kicked], ['disconnect_ack', 1]);
        assert.deepEqual(await before.closed, kDisconnected);
        const after = await backAgain(scene, scene.ada, { session });
        assert.equal(after.ack.restored, true);
        assert.equal(after.ack.presenceId, before.ack.presenceId);
        await boss.request({ type: 'disconnect', target: 'ada' });
        await after.closed;
        assert.deepEqual(await names(boss), ['ada', 'boss']);
        await boss.request({ type: 'disconnect', target: 'ada' });
        assert.deepEqual(await names(boss), ['boss']);
    });

    test('a kicked peer keeps its envelopes', async () => {
        const scene = await moderated('ada');
        const boss = await scene.peer(scene.boss);
        const ada = await scene.peer(scene.ada);
        await boss.request({ type: 'kick', target: 'ada' });
        await ada.closed;
        const ack = await boss.envelope(scene.ada.keys.hex, 'for later');
        assert.equal(ack.queued, true);
        const back = await scene.peer(scene.ada);
        await back.push('for later');
    });

    test('what to kick has to be said, once', async () => {
        const scene = await moderated('ada');
        const boss = await scene.peer(scene.boss);
        const ada = await scene.peer(scene.ada);
        for (const wrong of [
            {},
            { all: false },
            { all: 'yes' },
            { target: '' },
            { target: 5 },
            { target: 'a'.repeat(257) },
            { stale: -1 },
            { stale: '5' },
            { stale: 1.5 },
            { target: 'ada', all: true },
            { stale: 5, all: true },
            { target: 'ada', stale: 0 },
        ]) {
            const answer = await boss.request({ type: 'kick', ...wrong });
            assert.equal(answer.code, 'invalid_argument', JSON.stringify(wrong));
        }
        await settled(ada);
        assert.ok(isOpen(ada));
    });

    test('ban: out at once and for good, until unban', async () => {
        const scene = await moderated('ada', 'bob');
        const boss = await scene.peer(scene.boss);
        const [ada, bob] = [await scene.peer(scene.ada), await scene.peer(scene.bob)];
        const second = await scene.peer(scene.ada, { session: peerKeys() });
        const { _reqId, ...banned } = await boss.request({ type: 'ban', target: 'ada' });
        const { id: memberId, keys } = scene.ada;
        assert.deepEqual(banned, {
            type: 'ban_ack',
            banned: 'ada',
            memberId,
            pubkey: keys.hex,
        });
        assert.deepEqual([await ada.closed, await second.closed], [kBanned, kBanned]);
        assert.deepEqual(await names(bob), ['bob', 'boss']);

        const refused = await scene.stranger(scene.ada);
        const error = await expectRefused(context, refused, refused.helloMessage(), {
            code: 'revoked',
            reason: 'banned',
            close: 4002,
        });
        assert.ok(error.message.includes(scene.mesh.name), error.message);

        const { bans } = await boss.request({ type: 'list_bans' });
        assert.equal(bans.length, 1);
        const { revokedAt, ...listed } = bans[0];
        assert.deepEqual(listed, { name: 'ada', pubkey: keys.hex, memberId });
        assert.ok(Math.abs(Date.parse(revokedAt) - Date.now()) < 60_000);

        const unbanned = await boss.request({ type: 'unban', target: 'ada' });
        assert.deepEqual([unbanned.type, unbanned.unbanned], ['unban_ack', 'ada']);
        await backAgain(scene, scene.ada);
        assert.deepEqual((await boss.request({ type: 'list_bans' })).bans, []);
        assert.equal((await boss.request({ type: 'unban', target: 'ada' })).code, 'not_found');
    });

    test('who holds no key of a banned member learns nothing of the ban', async () => {
        const scene = await moderated('ada');
        const boss = await scene.peer(scene.boss);
        await boss.request({ type: 'ban', target: 'ada' });
        const stranger = await scene.stranger(scene.ada);
        const message = stranger.helloMessage({ signature: peerKeys().sign('something') });
        await expectRefused(context, stranger, message, { code: 'bad_signature' });
    });

    test('a ban outlives the server, and meets members that are away', async () => {
        const scene = await moderated('ada');
        let boss = await scene.peer(scene.boss);
        assert.equal(
            (await boss.request({ type: 'ban', target: scene.ada.keys.hex })).banned,
            'ada',
        );
        await context.backend.killAndRestart();
        const ada = await scene.stranger(scene.ada);
        await expectRefused(context, ada, ada.helloMessage(), {
            code: 'revoked',
            reason: 'banned',
            close: 4002,
        });
        boss = await scene.peer(scene.boss);
        assert.equal((await boss.request({ type: 'list_bans' })).bans.length, 1);
        await boss.request({ type: 'unban', target: scene.ada.id });
        await backAgain(scene, scene.ada);
    });

    test('a name of several members is refused; ids and keys come before names', async () => {
        const scene = await moderated('ada', 'bob');
        scene.twin = await context.admin.member(scene.mesh, 'ada');
        scene.mimic = await context.admin.member(scene.mesh, scene.bob.keys.hex);
        const boss = await scene.peer(scene.boss);
        const twice = await boss.request({ type: 'ban', target: 'ada' });
        assert.equal(twice.code, 'invalid_argument');
        const answer = await boss.request({ type: 'ban', target: scene.bob.keys.hex });
        assert.equal(answer.memberId, scene.bob.id);
        assert.equal((await boss.request({ type: 'list_bans' })).bans.length, 1);
    });

    test('nobody bans themselves, and nobody the owner', async () => {
        const scene = await moderated('ada');
        const boss = await scene.peer(scene.boss);
        const self = await boss.request({ type: 'ban', target: scene.boss.id });
        assert.equal(self.code, 'invalid_argument');
        await context.backend.sql(
            'update mesh_mesh set owner_key = (select key from mesh_member ' +
                `where id = '${scene.ada.id}') where id = '${scene.mesh.id}'`,
        );
        await context.server.restart();
        context.backend.connect();
        const again = await scene.peer(scene.boss);
        const owner = await again.request({ type: 'ban', target: 'ada' });
        assert.equal(owner.code, 'forbidden');
        // The owner is an admin whatever its role.
        const ada = await scene.peer(scene.ada);
        assert.equal((await ada.request({ type: 'ban', target: 'boss' })).banned, 'boss');
        assert.deepEqual(await again.closed, kBanned);
    });

    test('an admin that was made one by a new invite is one at once', async () => {
        const scene = await moderated('ada');
        const boss = await scene.peer(scene.boss);
        assert.equal((await boss.request({ type: 'ban', target: 'ada' })).banned, 'ada');
        const invite = await context.admin.invite(scene.mesh, { role: 'admin' });
        const joined = await join(context.server.url, invite.token, scene.ada.keys.hex, 'ada');
        assert.equal(joined.json.memberId, scene.ada.id);
        const ada = await scene.peer(scene.ada);
        assert.deepEqual((await ada.request({ type: 'list_bans' })).bans, []);
    });
});
