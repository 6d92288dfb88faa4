// The audit log: what leaves a record, that nothing of its content does, and that a record somebody
// changed is named, over the socket and on the command line.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { peerKeys } from '../../support/broker_peer.mjs';
import { onEachBroker, sample, Scene } from '../../support/broker_scene.mjs';
import { runCommand, until } from '../../support/server.mjs';

// JSON with sorted keys, as the records are hashed.
const canonical = (value) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
        ? `{${Object.keys(value)
              .sort()
              .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
              .join(',')}}`
        : JSON.stringify(value);

const hashOf = ({ prevHash, meshId, eventType, actorMemberId, payload, createdAt }) =>
    crypto
        .createHash('sha256')
        .update(
            [
                ...[prevHash, meshId, eventType, actorMemberId ?? 'null'],
                ...[canonical(payload), createdAt],
            ].join('|'),
        )
        .digest('hex');

const define = (context) => {
    const moderated = async (...names) => {
        const scene = await Scene.make(context, ...names);
        scene.boss = await context.admin.member(scene.mesh, 'boss', { role: 'admin' });
        return scene;
    };
    const nave = (scene, ...words) =>
        runCommand(
            ['broker', 'audit', ...words, scene.mesh.slug, '--data-dir', context.server.dataDir],
            { env: context.backend.storeEnv },
        );
    const entries = async (peer, more = {}) =>
        (await peer.request({ type: 'audit_query', limit: 500, ...more })).entries;
    // Newest first, once `count` records of the type are there.
    const recorded = (peer, type, count = 1) =>
        until(
            async () => {
                const found = (await entries(peer)).filter(({ eventType }) => eventType === type);
                return found.length >= count && found;
            },
            { what: `${count} of ${type}` },
        );

    return { moderated, nave, entries, recorded };
};

onEachBroker('audit', (context) => {
    const { moderated, nave, entries, recorded } = define(context);

    test('who came, joined, set, was banned and left is there, as one chain', async () => {
        const scene = await moderated('ada');
        const boss = await scene.peer(scene.boss);
        const session = peerKeys();
        const ada = await scene.peer(scene.ada, { session });
        ada.send({ type: 'set_state', key: 'phase', value: 'a value nobody records' });
        await ada.envelope(scene.boss.keys.hex, 'a text nobody records');
        ada.send({ type: 'set_summary', summary: 'a summary nobody records' });
        await recorded(boss, 'state_set');
        await boss.request({ type: 'ban', target: 'ada' });
        await ada.closed;
        await boss.request({ type: 'unban', target: 'ada' });
        await recorded(boss, 'peer_left');
        await recorded(boss, 'member_unbanned');

        const all = (await entries(boss)).reverse();
        const of = (type) => all.filter(({ eventType }) => eventType === type);
        assert.equal(all[0].eventType, 'mesh_created');
        assert.deepEqual(all[0].payload, { slug: scene.mesh.slug });
        assert.equal(all[0].actorMemberId, null);
        assert.equal(of('invite_created').length, 2);
        assert.deepEqual(
            of('member_joined').map(({ actorMemberId, payload }) => [actorMemberId, payload.role]),
            [
                [scene.ada.id, 'member'],
                [scene.boss.id, 'admin'],
            ],
        );
        const came = of('peer_joined').find(({ actorMemberId }) => actorMemberId === scene.ada.id);
        assert.deepEqual(came.payload, { pubkey: session.hex, displayName: 'ada' });
        assert.deepEqual(of('state_set')[0].payload, { key: 'phase' });
        for (const type of ['member_banned', 'member_unbanned']) {
            const [{ actorMemberId, payload }] = of(type);
            assert.equal(actorMemberId, scene.boss.id);
            assert.equal(payload.memberId, scene.ada.id);
        }
        assert.deepEqual(of('peer_left')[0].payload, came.payload);
        assert.deepEqual(of('message_sent'), [], 'off unless asked for');
        assert.ok(!JSON.stringify(all).includes('nobody records'));

        let before = 'genesis';
        for (const entry of all) {
            assert.equal(entry.meshId, scene.mesh.id);
            assert.equal(entry.prevHash, before);
            assert.equal(entry.hash, hashOf(entry));
            before = entry.hash;
        }
        const { _reqId, ...verdict } = await boss.request({ type: 'audit_verify' });
        assert.deepEqual(verdict, {
            type: 'audit_verify_result',
            valid: true,
            entries: all.length,
            trimmed: 0,
            head: before,
        });
    });

    test('coming back within the lease is neither leaving nor joining', async () => {
        const scene = await moderated('ada');
        const boss = await scene.peer(scene.boss);
        const session = peerKeys();
        const ada = await scene.peer(scene.ada, { session });
        await ada.cut();
        const again = await scene.peer(scene.ada, { session });
        assert.equal(again.ack.presenceId, ada.ack.presenceId);
        again.send({ type: 'set_state', key: 'after', value: 1 });
        await recorded(boss, 'state_set');
        const about = (await entries(boss)).filter(
            ({ eventType, actorMemberId }) =>
                actorMemberId === scene.ada.id && eventType.startsWith('peer_'),
        );
        assert.deepEqual(
            about.map(({ eventType }) => eventType),
            ['peer_joined'],
        );
    });

    test('for admins only, and of their own mesh', async () => {
        const [scene, other] = [await moderated('ada'), await moderated()];
        const ada = await scene.peer(scene.ada);
        for (const type of ['audit_query', 'audit_verify']) {
            assert.equal((await ada.request({ type })).code, 'forbidden');
        }
        const boss = await other.peer(other.boss);
        const seen = await entries(boss, { meshId: scene.mesh.id });
        assert.ok(seen.length > 0);
        assert.ok(seen.every(({ meshId }) => meshId === other.mesh.id));
    });

    test('pages go back in time', async () => {
        const scene = await moderated('ada', 'bob', 'cyd');
        const boss = await scene.peer(scene.boss);
        await recorded(boss, 'peer_joined');
        const all = await entries(boss);
        const paged = [];
        let page = await entries(boss, { limit: 2 });
        while (page.length > 0) {
            assert.ok(page.length <= 2);
            paged.push(...page);
            page = await entries(boss, { limit: 2, before: page.at(-1).id });
        }
        assert.deepEqual(paged, all);
        assert.ok((await entries(boss, { limit: undefined })).length > 0);
        for (const wrong of [{ limit: 501 }, { limit: -1 }, { before: -5 }, { limit: 'all' }]) {
            const answer = await boss.request({ type: 'audit_query', ...wrong });
            assert.equal(answer.code, 'invalid_argument', JSON.stringify(wrong));
        }
    });

    test('the command line verifies and exports, beside the server', async () => {
        const scene = await moderated('ada');
        const boss = await scene.peer(scene.boss);
        await recorded(boss, 'peer_joined');
        const all = (await entries(boss)).reverse();
        const exported = await nave(scene, 'export');
        assert.equal(exported.code, 0, exported.stderr);
        assert.deepEqual(
            exported.stdout
                .trimEnd()
                .split('\n')
                .map((line) => JSON.parse(line)),
            all,
        );
        const verified = await nave(scene, 'verify', '--json');
        assert.deepEqual(JSON.parse(verified.stdout), {
            valid: true,
            entries: all.length,
            trimmed: 0,
            head: all.at(-1).hash,
        });
        const text = await nave(scene, 'verify');
        assert.equal(text.code, 0);
        assert.match(text.stdout, new RegExp(`^verified ${all.length} .*\nhead ${all.at(-1).hash}`));
        const nowhere = await nave({ mesh: { slug: 'nowhere' } }, 'verify');
        assert.equal(nowhere.code, 1);
        assert.match(nowhere.stderr, /no such mesh/);
    });

    test('what the command line did is in the chain too', async () => {
        const scene = await moderated('ada');
        const boss = await scene.peer(scene.boss);
        const revoked = await runCommand(
            ['broker', 'member', 'revoke', scene.mesh.slug, scene.ada.id].concat([
                '--data-dir',
                context.server.dataDir,
            ]),
            { env: context.backend.storeEnv },
        );
        assert.equal(revoked.code, 0, revoked.stderr);
        const [banned] = await recorded(boss, 'member_banned');
        assert.equal(banned.actorMemberId, null);
        assert.equal(banned.payload.memberId, scene.ada.id);
        assert.equal((await boss.request({ type: 'audit_verify' })).valid, true);
    });

    test('a record that was changed is named, and so is one that is missing', async () => {
        const scene = await moderated('ada');
        const boss = await scene.peer(scene.boss);
        await recorded(boss, 'peer_joined');
        const [, , third] = (await entries(boss)).reverse();
        const original = JSON.stringify(third.payload);
        await context.backend.sql(
            `update mesh_audit set payload = '{"memberId":"somebody else"}' where id = ${third.id}`,
        );
        const { _reqId, ...verdict } = await boss.request({ type: 'audit_verify' });
        assert.equal(verdict.valid, false);
        assert.deepEqual([verdict.brokenAt, verdict.fault], [third.id, 'wrong_hash']);
        assert.equal(verdict.entries, 2);
        const text = await nave(scene, 'verify');
        assert.equal(text.code, 1);
        assert.equal(text.stdout, '');
        assert.match(text.stderr, new RegExp(`does NOT verify: wrong_hash at record ${third.id}`));
        const json = await nave(scene, 'verify', '--json');
        assert.equal(json.code, 1);
        assert.equal(JSON.parse(json.stdout).brokenAt, third.id);

        // Not JSON: shown as text, and no answer breaks by it.
        await context.backend.sql(
            `update mesh_audit set payload = '"},{' where id = ${third.id}`,
        );
        const shown = (await entries(boss)).find(({ id }) => id === third.id);
        assert.equal(shown.payload, '"},{');
        assert.equal((await boss.request({ type: 'audit_verify' })).fault, 'unreadable');

        await context.backend.sql(
            `update mesh_audit set payload = '${original}' where id = ${third.id}`,
        );
        assert.equal((await boss.request({ type: 'audit_verify' })).valid, true);
        const last = (await entries(boss))[0];
        await context.backend.sql(`delete from mesh_audit where id = ${last.id}`);
        const cut = await boss.request({ type: 'audit_verify' });
        assert.deepEqual([cut.valid, cut.fault], [false, 'missing_end']);
    });

    test('the chain goes on after a clean stop, which records who was there', async () => {
        const scene = await moderated('ada');
        await scene.peer(scene.ada);
        await context.server.restart();
        context.backend.connect();
        const boss = await scene.peer(scene.boss);
        const [left] = await recorded(boss, 'peer_left');
        assert.equal(left.actorMemberId, scene.ada.id);
        await recorded(boss, 'peer_joined', 2);
        assert.equal((await boss.request({ type: 'audit_verify' })).valid, true);
    });

    test('the metrics count', async () => {
        assert.ok((await sample(context, 'broker_audit_recorded_total')) > 0);
        assert.equal(await sample(context, 'broker_audit_dropped_total'), 0);
    });
});

onEachBroker(
    'audit of envelopes',
    (context) => {
        const { moderated, recorded } = define(context);

        test('who sent to whom and when, never what', async () => {
            const scene = await moderated('ada');
            const boss = await scene.peer(scene.boss);
            const ada = await scene.peer(scene.ada);
            const first = await ada.envelope(scene.boss.keys.hex, 'secret', {
                client_message_id: 'mine',
            });
            await ada.envelope(scene.boss.keys.hex, 'secret', { client_message_id: 'mine' });
            const second = await ada.envelope('*', 'secret', { priority: 'low' });
            const sent = await recorded(boss, 'message_sent', 2);
            assert.deepEqual(
                sent.map(({ actorMemberId, payload }) => [actorMemberId, payload]),
                [
                    [second.messageId, '*', 'low'],
                    [first.messageId, scene.boss.keys.hex, 'next'],
                ].map(([messageId, targetSpec, priority]) => [
                    scene.ada.id,
                    { messageId, targetSpec, priority },
                ]),
            );
            assert.ok(!JSON.stringify(sent).includes('secret'));
        });

        test('a burst is recorded whole', async () => {
            const scene = await moderated('ada');
            const boss = await scene.peer(scene.boss);
            const ada = await scene.peer(scene.ada);
            const acks = await Promise.all(
                Array.from({ length: 400 }, (_, i) => ada.envelope(scene.boss.keys.hex, `${i}`)),
            );
            assert.ok(acks.every(({ queued }) => queued));
            await recorded(boss, 'message_sent', 400);
            assert.equal((await boss.request({ type: 'audit_verify' })).valid, true);
        });
    },
    { env: { BROKER_AUDIT_MESSAGES: 'on', BROKER_SEND_LIMIT: '10000/s:10000' } },
);
