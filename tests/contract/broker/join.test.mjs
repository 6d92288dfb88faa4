// POST /join: how an invite becomes a membership, and every reason why it does not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inviteOf, join, peerKeys } from '../../support/broker_peer.mjs';
import { onEachBroker, Scene, settled } from '../../support/broker_scene.mjs';

// The payload changed and signed again by `owner`.
function forged(payload, owner, changes = {}) {
    const made = { ...payload, owner_pubkey: owner.hex, ...changes };
    const fields = ['v', 'mesh_id', 'mesh_slug', 'broker_url', 'expires_at', 'mesh_root_key'];
    fields.push('role', 'owner_pubkey');
    made.signature = owner.sign(fields.map((name) => made[name]).join('|'));
    return made;
}

const tokenOf = (payload) => Buffer.from(JSON.stringify(payload)).toString('base64url');

onEachBroker('POST /join', (context) => {
    const ask = (token, { keys = peerKeys(), name = 'new', payload } = {}) =>
        join(context.server.url, token, keys.hex, name, payload);
    const expectError = async (answer, error) => {
        const { status, json } = await answer;
        assert.deepEqual([status, json], [400, { ok: false, error }]);
    };
    const usedCount = async (mesh, id) => {
        const { json } = await context.admin.call('GET', `/admin/meshes/${mesh.id}/invites`);
        return json.invites.find((invite) => invite.id === id).usedCount;
    };

    test('a member is made, with the role of the invite', async () => {
        const mesh = await context.admin.createMesh();
        for (const role of ['member', 'admin']) {
            const invite = await context.admin.invite(mesh, { role });
            const keys = peerKeys();
            const { status, json } = await ask(invite.token, { keys, name: `ü "${role}"` });
            assert.equal(status, 200);
            assert.deepEqual(json, { ok: true, memberId: json.memberId });
            assert.match(json.memberId, /^[A-Za-z0-9]{32}$/);
            const listed = await context.admin.call('GET', `/admin/meshes/${mesh.id}/members`);
            const member = listed.json.members.find(({ id }) => id === json.memberId);
            assert.deepEqual(
                [member.role, member.pubkey, member.displayName],
                [role, keys.hex, `ü "${role}"`],
            );
            const scene = new Scene(context);
            const peer = await scene.peer({ id: json.memberId, keys, mesh });
            assert.equal(peer.ack.memberDisplayName, `ü "${role}"`);
        }
    });

    test('a newcomer is known at once where the mesh is in use', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        const bob = await context.admin.member(scene.mesh, 'bob');
        await ada.envelope('*', 'to all, with bob');
        const peer = await scene.peer(bob);
        await peer.push('to all, with bob');
        assert.equal((await settled(peer)).peers.length, 2);
    });

    test('the key in upper case is the same key', async () => {
        const mesh = await context.admin.createMesh();
        const invite = await context.admin.invite(mesh);
        const keys = peerKeys();
        const loud = { ...keys, hex: keys.hex.toUpperCase() };
        const { json } = await ask(invite.token, { keys: loud });
        const scene = new Scene(context);
        await scene.peer({ id: json.memberId, keys, mesh });
    });

    test('already a member: the same id, and no use is burnt', async () => {
        const mesh = await context.admin.createMesh();
        const invite = await context.admin.invite(mesh);
        const keys = peerKeys();
        const first = await ask(invite.token, { keys });
        const again = await ask(invite.token, { keys, name: 'another name' });
        assert.equal(again.status, 200);
        assert.deepEqual(again.json, {
            ok: true,
            memberId: first.json.memberId,
            alreadyMember: true,
        });
        assert.equal(await usedCount(mesh, invite.id), 1);
    });

    test('an invite for one, two at the same time: one of them', async () => {
        const mesh = await context.admin.createMesh();
        for (let round = 0; round < 10; round += 1) {
            const invite = await context.admin.invite(mesh);
            const answers = await Promise.all([ask(invite.token), ask(invite.token)]);
            const texts = answers.map(({ status, json }) => `${status} ${json.error ?? 'in'}`);
            assert.deepEqual(texts.sort(), ['200 in', '400 invite_exhausted']);
            assert.equal(await usedCount(mesh, invite.id), 1);
        }
    });

    test('an invite for five, twenty at the same time: five; one key many times: once', async () => {
        const mesh = await context.admin.createMesh();
        const invite = await context.admin.invite(mesh, { maxUses: 5 });
        const answers = await Promise.all(Array.from({ length: 20 }, () => ask(invite.token)));
        assert.equal(answers.filter(({ json }) => json.ok).length, 5);
        assert.equal(await usedCount(mesh, invite.id), 5);
        const wide = await context.admin.invite(mesh, { maxUses: 5 });
        const keys = peerKeys();
        const same = await Promise.all(
            Array.from({ length: 12 }, () => ask(wide.token, { keys })),
        );
        assert.deepEqual([...new Set(same.map(({ status }) => status))], [200]);
        assert.equal(new Set(same.map(({ json }) => json.memberId)).size, 1);
        assert.equal(await usedCount(mesh, wide.id), 1);
    });

    test('invite_bad_signature: any field changed', async () => {
        const mesh = await context.admin.createMesh();
        const { token } = await context.admin.invite(mesh);
        const payload = inviteOf(token);
        const changes = {
            mesh_id: 'A'.repeat(32),
            mesh_slug: 'other',
            broker_url: 'ws://elsewhere/ws',
            expires_at: payload.expires_at + 1,
            mesh_root_key: 'AAAA',
            role: 'admin',
            owner_pubkey: peerKeys().hex,
            signature: '0'.repeat(128),
        };
        for (const [name, value] of Object.entries(changes)) {
            const changed = { ...payload, [name]: value };
            for (const sent of [token, tokenOf(changed)]) {
                await expectError(ask(sent, { payload: changed }), 'invite_bad_signature');
            }
        }
        assert.equal((await ask(token)).status, 200, 'none of it used the invite');
    });

    test('invite_owner_mismatch and mesh_not_found: signed well, but by nobody', async () => {
        const mesh = await context.admin.createMesh();
        const payload = inviteOf((await context.admin.invite(mesh)).token);
        const own = forged(payload, peerKeys(), { role: 'admin' });
        await expectError(ask(tokenOf(own), { payload: own }), 'invite_owner_mismatch');
        const nowhere = forged(payload, peerKeys(), { mesh_id: 'B'.repeat(32) });
        await expectError(ask(tokenOf(nowhere), { payload: nowhere }), 'mesh_not_found');
    });

    test('mesh_not_found: archived', async () => {
        const mesh = await context.admin.createMesh();
        const { token } = await context.admin.invite(mesh);
        const archived = await context.admin.call('POST', `/admin/meshes/${mesh.id}/archive`);
        assert.equal(archived.status, 200);
        await expectError(ask(token), 'mesh_not_found');
    });

    test('invite_not_found: a token that was not made here, or is not of this payload', async () => {
        const mesh = await context.admin.createMesh();
        const one = await context.admin.invite(mesh, { validForSeconds: 1_000 });
        const two = await context.admin.invite(mesh, { validForSeconds: 2_000, role: 'admin' });
        const mixed = ask(one.token, { payload: inviteOf(two.token) });
        await expectError(mixed, 'invite_not_found');
        await expectError(ask('nonsense', { payload: inviteOf(one.token) }), 'invite_not_found');
        await context.backend.sql(`delete from mesh_invite where id = '${one.id}'`);
        await expectError(ask(one.token), 'invite_not_found');
    });

    test('invite_mesh_mismatch: the invite is of another mesh', async () => {
        const mesh = await context.admin.createMesh();
        const other = await context.admin.createMesh();
        const { id, token } = await context.admin.invite(mesh);
        await context.backend.sql(
            `update mesh_invite set mesh_id = '${other.id}' where id = '${id}'`,
        );
        await expectError(ask(token), 'invite_mesh_mismatch');
    });

    test('invite_revoked, also for who is a member already', async () => {
        const mesh = await context.admin.createMesh();
        const { id, token } = await context.admin.invite(mesh, { maxUses: 3 });
        const keys = peerKeys();
        assert.equal((await ask(token, { keys })).status, 200);
        const path = `/admin/meshes/${mesh.id}/invites/${id}`;
        assert.equal((await context.admin.call('DELETE', path)).status, 204);
        await expectError(ask(token), 'invite_revoked');
        await expectError(ask(token, { keys }), 'invite_revoked');
    });

    test('invite_expired, also for who is a member already', async () => {
        const mesh = await context.admin.createMesh();
        const { id, token } = await context.admin.invite(mesh, { maxUses: 2 });
        const keys = peerKeys();
        assert.equal((await ask(token, { keys })).status, 200);
        await context.backend.sql(
            `update mesh_invite set expires_at = ${Date.now()} where id = '${id}'`,
        );
        await expectError(ask(token), 'invite_expired');
        await expectError(ask(token, { keys }), 'invite_expired');
    });

    test('invite_exhausted', async () => {
        const mesh = await context.admin.createMesh();
        const { token } = await context.admin.invite(mesh, { maxUses: 2 });
        assert.equal((await ask(token)).status, 200);
        assert.equal((await ask(token)).status, 200);
        await expectError(ask(token), 'invite_exhausted');
    });

    test('missing or wrong fields: 400 and a text; nothing is used', async () => {
        const mesh = await context.admin.createMesh();
        const { id, token } = await context.admin.invite(mesh);
        const good = {
            invite_token: token,
            invite_payload: inviteOf(token),
            peer_pubkey: peerKeys().hex,
            display_name: 'new',
        };
        const wrong = [
            ...Object.keys(good).map((name) => ({ [name]: undefined })),
            { invite_token: 5 },
            { invite_payload: 'text' },
            { invite_payload: [] },
            { invite_payload: {} },
            { peer_pubkey: 'a'.repeat(63) },
            { peer_pubkey: 'z'.repeat(64) },
            { display_name: '' },
            { display_name: 'x'.repeat(257) },
        ];
        const post = async (body) => {
            const response = await fetch(`${context.server.url}/join`, { method: 'POST', body });
            return { status: response.status, json: await response.json() };
        };
        const bodies = wrong.map((change) => JSON.stringify({ ...good, ...change }));
        for (const body of [...bodies, '', '{', '[]', 'null', '[['.repeat(10_000)]) {
            const { status, json } = await post(body);
            assert.equal(status, 400, body.slice(0, 100));
            assert.equal(json.ok, false);
            assert.ok(json.error.length > 0);
        }
        assert.equal((await post('x'.repeat(65_537))).status, 413);
        assert.equal(await usedCount(mesh, id), 0);
    });

    test('neither token nor root key is logged', async () => {
        const mesh = await context.admin.createMesh();
        const { token } = await context.admin.invite(mesh);
        await ask(token);
        await ask(token);
        const { mesh_root_key: rootKey } = inviteOf(token);
        const log = context.server.logTail(100_000);
        assert.match(log, /"msg":"join"/);
        assert.ok(!log.includes(token) && !log.includes(rootKey));
    });
});
