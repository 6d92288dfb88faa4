// `nave broker ...` beside a running server and without one: what it prints, what the server makes
// of it within moments, and that the secret of an invite goes to stdout only.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, test } from 'node:test';
import { inviteOf, join, peerKeys } from '../../support/broker_peer.mjs';
import { expectRefused, onEachBroker, Scene } from '../../support/broker_scene.mjs';
import { runCommand, temporaryDirectory, until } from '../../support/server.mjs';

// Runs `nave broker ...` on the store of the running server.
function runner(context) {
    const run = (...words) =>
        runCommand(['broker', ...words, '--data-dir', context.server.dataDir], {
            env: context.backend.storeEnv,
        });
    const succeed = async (...words) => {
        const result = await run(...words);
        assert.equal(result.code, 0, result.stderr);
        assert.equal(result.stderr, '');
        return result.stdout;
    };
    const json = async (...words) => JSON.parse(await succeed(...words, '--json'));
    const refused = async (words, code, message) => {
        const result = await run(...words);
        assert.equal(result.code, code, result.stdout + result.stderr);
        assert.match(result.stderr, message);
        assert.equal(result.stdout, '');
    };
    return { run, succeed, json, refused };
}

// A member that joins by an invite of the command line.
async function joinBy(context, mesh, invite, name) {
    const keys = peerKeys();
    const joined = await join(context.server.url, invite.token, keys.hex, name);
    assert.equal(joined.json?.ok, true, joined.text);
    return { id: joined.json.memberId, keys, name, mesh };
}

onEachBroker('command line', (context) => {
    const nave = runner(context);

    test('a mesh made beside the server is there at once', async () => {
        const mesh = await nave.json('mesh', 'create', 'Kitchen Table 1');
        assert.match(mesh.id, /^[A-Za-z0-9]{32}$/);
        assert.equal(mesh.slug, 'kitchen-table-1');
        assert.equal(mesh.name, 'Kitchen Table 1');
        assert.match(mesh.ownerPubkey, /^[0-9a-f]{64}$/);
        assert.ok(Math.abs(Date.parse(mesh.createdAt) - Date.now()) < 60_000);

        const { meshes } = await nave.json('mesh', 'list');
        assert.deepEqual(
            meshes.find(({ id }) => id === mesh.id),
            mesh,
        );
        const listed = await nave.succeed('mesh', 'list');
        assert.match(listed, /^SLUG +ID +CREATED +ARCHIVED +NAME\n/);
        assert.match(listed, new RegExp(`\nkitchen-table-1 +${mesh.id} .* Kitchen Table 1\n`));

        const invite = await nave.json('invite', 'create', 'kitchen-table-1');
        const ada = await joinBy(context, mesh, invite, 'ada');
        const scene = new Scene(context);
        await scene.peer(ada);
    });

    test('a name is taken once, and must be one', async () => {
        assert.match(
            await nave.succeed('mesh', 'create', 'Taken'),
            /^created mesh taken \([A-Za-z0-9]{32}\)\n$/,
        );
        await nave.refused(['mesh', 'create', 'taken!'], 1, /exists/);
        await nave.refused(['mesh', 'create', '!!!'], 1, /letter or digit/);
        await nave.refused(['mesh', 'create', 'x'.repeat(101)], 1, /100 bytes/);
    });

    test('an invite says what was asked for', async () => {
        const mesh = await nave.json('mesh', 'create', 'Invites');
        const invite = await nave.json(
            ...['invite', 'create', mesh.id, '--uses', '2', '--hours', '3', '--role', 'admin'],
            ...['--url', 'wss://broker.example.org/ws'],
        );
        assert.equal(invite.link, `ic://join/${invite.token}`);
        const signed = inviteOf(invite.token);
        assert.equal(signed.mesh_id, mesh.id);
        assert.equal(signed.role, 'admin');
        assert.equal(signed.broker_url, 'wss://broker.example.org/ws');
        const hours = (signed.expires_at * 1000 - Date.now()) / 3_600_000;
        assert.ok(hours > 2.9 && hours < 3.3, `${hours} hours`);
        const first = await joinBy(context, mesh, invite, 'ada');
        await joinBy(context, mesh, invite, 'bob');
        const third = await join(context.server.url, invite.token, peerKeys().hex, 'cyd');
        assert.equal(third.json.error, 'invite_exhausted');

        const { invites } = await nave.json('invite', 'list', mesh.slug);
        const { token, link, ...shown } = invite;
        assert.deepEqual(invites, [{ ...shown, usedCount: 2 }]);
        assert.match(await nave.succeed('invite', 'list', mesh.slug), / 2\/2 .* used up\n$/);
        const { members } = await nave.json('member', 'list', mesh.slug);
        assert.equal(members.find(({ id }) => id === first.id).role, 'admin');
    });

    test('for people an invite is its link', async () => {
        const mesh = await nave.json('mesh', 'create', 'For people');
        const text = await nave.succeed('invite', 'create', mesh.slug);
        const [, id, link] = /^invite  (\w+)\n.*\nlink    (ic:\/\/join\/\S+)\n$/.exec(text) ?? [];
        assert.ok(link, text);
        const signed = inviteOf(link.replace('ic://join/', ''));
        assert.match(signed.broker_url, /^ws:\/\/127\.0\.0\.1:\d+\/ws$/);
        assert.match(await nave.succeed('invite', 'list', mesh.id), new RegExp(`${id}.* open\n`));
    });

    test('a revoked invite lets nobody in', async () => {
        const mesh = await nave.json('mesh', 'create', 'Revoked invites');
        const invite = await nave.json('invite', 'create', mesh.slug, '--uses', '5');
        const revoked = await nave.json('invite', 'revoke', mesh.slug, invite.id);
        assert.ok(Date.parse(revoked.revokedAt));
        assert.deepEqual(
            await nave.json('invite', 'revoke', mesh.slug, invite.id),
            revoked,
            'the first time counts',
        );
        const joined = await join(context.server.url, invite.token, peerKeys().hex, 'ada');
        assert.equal(joined.json.error, 'invite_revoked');
        assert.match(await nave.succeed('invite', 'list', mesh.slug), / revoked\n$/);
        await nave.refused(['invite', 'revoke', mesh.slug, 'no-such-id'], 1, /No invite/);
    });

    test('a revoked member loses its sockets, and may come back when restored', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const { mesh } = scene;
        const [ada, second, bob] = [
            await scene.peer(scene.ada),
            await scene.peer(scene.ada, { session: peerKeys() }),
            await scene.peer(scene.bob),
        ];
        const revoked = await nave.json('member', 'revoke', mesh.slug, scene.ada.id);
        assert.equal(revoked.id, scene.ada.id);
        assert.ok(Date.parse(revoked.revokedAt));
        assert.deepEqual(await ada.closed, { code: 4002, reason: 'banned' });
        assert.deepEqual(await second.closed, { code: 4002, reason: 'banned' });
        assert.equal((await bob.request({ type: 'list_peers' })).peers.length, 1);
        const again = await scene.stranger(scene.ada);
        await expectRefused(context, again, again.helloMessage(), {
            code: 'revoked',
            reason: 'banned',
            close: 4002,
        });
        assert.match(
            await nave.succeed('member', 'revoke', mesh.slug, scene.ada.id),
            /^revoked member ada /,
        );

        const restored = await nave.json('member', 'restore', mesh.slug, scene.ada.id);
        assert.equal(restored.revokedAt, undefined);
        await until(
            async () => {
                const peer = await scene.stranger(scene.ada);
                return peer.hello().then(
                    () => true,
                    () => false,
                );
            },
            { everyMs: 200, what: 'ada is let in again' },
        );
        await nave.refused(['member', 'revoke', mesh.slug, 'nobody'], 1, /No member/);
        await nave.refused(['member', 'restore', mesh.slug, 'nobody'], 1, /No member/);
    });

    test('a member that joined is told apart by its id', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const { members } = await nave.json('member', 'list', scene.mesh.slug);
        assert.deepEqual(
            members.map(({ id, pubkey, displayName }) => [id, pubkey, displayName]),
            [scene.ada, scene.bob].map(({ id, keys, name }) => [id, keys.hex, name]),
        );
    });

    test('names cannot move the cursor of the terminal', async () => {
        const mesh = await context.admin.createMesh();
        await context.admin.member(mesh, 'a\u001b[2Jd\u009b31ma\u007f\n!');
        const text = await nave.succeed('member', 'list', mesh.slug);
        assert.match(text, / a\[2Jd31ma!\n$/);
    });

    test('an archived mesh ends: its peers are disconnected, nobody joins', async () => {
        const scene = await Scene.make(context, 'ada');
        const invite = await context.admin.invite(scene.mesh);
        const ada = await scene.peer(scene.ada);
        const archived = await nave.json('mesh', 'archive', scene.mesh.slug);
        assert.ok(Date.parse(archived.archivedAt));
        assert.deepEqual(await ada.closed, { code: 1008, reason: 'mesh archived' });
        const joined = await join(context.server.url, invite.token, peerKeys().hex, 'bob');
        assert.equal(joined.json.error, 'mesh_not_found');
        const back = await scene.stranger(scene.ada);
        await expectRefused(context, back, back.helloMessage(), { code: 'unauthorized' });
        await nave.refused(['invite', 'create', scene.mesh.slug], 1, /archived/);
    });

    test('what is wrong is said, with a status of its own', async () => {
        await nave.refused(['invite', 'list', 'nowhere'], 1, /no such mesh/);
        await nave.refused(['member', 'list', 'nowhere'], 1, /no such mesh/);
        await nave.refused(['mesh', 'archive', 'nowhere'], 1, /no such mesh/);
        const mesh = await nave.json('mesh', 'create', 'Usage');
        for (const words of [
            ['invite', 'create', mesh.slug, '--role', 'owner'],
            ['invite', 'create', mesh.slug, '--uses', '0'],
            ['invite', 'create', mesh.slug, '--hours', '0'],
            ['invite', 'create', mesh.slug, '--hours', '8785'],
            ['invite', 'create', mesh.slug, '--hours', 'many'],
            ['invite', 'revoke', mesh.slug],
            ['mesh'],
            [],
        ]) {
            assert.equal((await nave.run(...words)).code, 2, words.join(' '));
        }
        await nave.refused(['invite', 'create', mesh.slug, '--url', 'wss://a|b'], 1, /broker_url/);
    });

    test('a key of the command line is good at once, until it is revoked', async () => {
        const mesh = await nave.json('mesh', 'create', 'Keys');
        const invite = await nave.json('invite', 'create', mesh.slug);
        const ada = await joinBy(context, mesh, invite, 'ada');
        const made = await nave.json('key', 'create', 'keys', ada.id, '--label', 'a script');
        const peers = async () => {
            const response = await fetch(`${context.server.url}/v1/peers`, {
                headers: { Authorization: `Bearer ${made.token}` },
            });
            return response.status;
        };
        assert.equal(await peers(), 200);
        assert.match(
            await nave.succeed('key', 'list', 'keys'),
            new RegExp(`\n${made.id} +${ada.id} +both .* a script\n`),
        );
        assert.ok(!(await nave.succeed('key', 'list', 'keys')).includes(made.token));
        assert.equal(await nave.succeed('key', 'revoke', 'keys', made.id), `revoked key a script (${made.id})\n`);
        assert.equal(await peers(), 401);
        await nave.refused(['key', 'create', 'keys', 'nobody', '--label', 'x'], 1, /No member/);
        assert.ok(!context.server.lines.some(({ text }) => text.includes(made.token)));
    });

    test('no invite of the command line is in the log of the server', async () => {
        const mesh = await nave.json('mesh', 'create', 'Secrets');
        const invite = await nave.json('invite', 'create', mesh.slug);
        await joinBy(context, mesh, invite, 'ada');
        const signature = inviteOf(invite.token).signature;
        const rootKey = inviteOf(invite.token).mesh_root_key;
        for (const secret of [invite.token, signature, rootKey]) {
            assert.ok(!context.server.lines.some(({ text }) => text.includes(secret)));
        }
    });
});

describe('command line without a server', () => {
    test('an empty data directory needs the schema first', async () => {
        const dataDir = temporaryDirectory('nave-empty');
        const run = (...words) => runCommand([...words, '--data-dir', dataDir]);
        try {
            const early = await run('broker', 'mesh', 'create', 'Early');
            assert.equal(early.code, 14, early.stderr);
            assert.deepEqual(fs.readdirSync(dataDir), [], 'nothing was made');
            assert.equal((await run('migrate', 'broker')).code, 0);
            const made = await run('broker', 'mesh', 'create', 'Early', '--json');
            assert.equal(made.code, 0, made.stderr);
            const listed = await run('broker', 'mesh', 'list', '--json');
            assert.deepEqual(JSON.parse(listed.stdout).meshes, [JSON.parse(made.stdout)]);
        } finally {
            fs.rmSync(dataDir, { recursive: true, force: true });
        }
    });
});
