// What is done at one of two nodes holds at the other, for peers that are connected there and for
// what the first had begun when it died.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { inviteOf, join, peerKeys } from '../../support/broker_peer.mjs';
import { delivered, settled, texts } from '../../support/broker_scene.mjs';
import { call, envelope, EventReader, keyOf } from '../../support/http_peer.mjs';
import { Nodes, nodesMissing } from '../../support/nodes.mjs';
import { until } from '../../support/server.mjs';

const kObserverToken = 'observer-token-of-two-nodes';
const kKicked = { code: 4001, reason: 'kicked' };
const kBanned = { code: 4002, reason: 'banned' };

describe('the reach of a node', { skip: nodesMissing() }, () => {
    let nodes;
    before(async () => {
        nodes = await Nodes.start(2, { env: { BROKER_OBSERVER_TOKEN: kObserverToken } });
    });
    after(async () => {
        await nodes?.finish();
    });
    const at = (node) => ({ server: nodes.servers[node], admin: nodes.admin });
    const scene = async (...names) => {
        const made = { mesh: await nodes.admin.createMesh() };
        for (const name of names) {
            const role = name === 'boss' ? 'admin' : 'member';
            made[name] = await nodes.admin.member(made.mesh, name, { role });
        }
        return made;
    };
    const sees = (peer, count) =>
        until(async () => (await settled(peer)).peers.length === count, {
            what: `${count} peers`,
        });
    // The code of the refusal, or undefined when the member is let in.
    const refusal = async (node, member) => {
        const sessionId = `again ${Math.random()}`;
        const peer = await nodes.peer(node, member, { sessionId }).catch((error) => error.answer);
        await peer?.close?.();
        return peer?.code;
    };

    it('what is acknowledged over HTTP at another node is not sent again', async () => {
        const { mesh, ann, ben } = await scene('ann', 'ben');
        const { token } = await keyOf(at(0), { mesh }, ann);
        const b = await nodes.peer(0, ben);
        const stream = await EventReader.open(at(1), token);
        await sees(b, 2);
        const acks = [];
        for (const text of ['one', 'two', 'three']) {
            acks.push(await b.envelope(ann.keys.hex, text));
        }
        await stream.push('three');
        const messageIds = [acks[0].messageId, acks[2].messageId];
        const answer = await call(at(0), token, 'POST', '/v1/messages/ack', { messageIds });
        assert.equal(answer.status, 200, answer.text);
        await delivered(b, acks[0]);
        await delivered(b, acks[2]);
        await stream.stop();
        const again = await EventReader.open(at(0), token);
        await b.envelope(ann.keys.hex, 'four');
        await again.push('four');
        assert.deepEqual(again.pushes(), ['two', 'four']);
        await again.stop();
        await b.close();
    });

    it('what is posted at one node reaches the socket at the other', async () => {
        const { mesh, ann, ben } = await scene('ann', 'ben');
        const { token } = await keyOf(at(0), { mesh }, ann);
        const b = await nodes.peer(1, ben);
        for (const target of [b.key, '*']) {
            const sent = await call(
                ...[at(0), token, 'POST', '/v1/messages'],
                envelope(target, `to ${target}`),
            );
            assert.equal(sent.status, 200, sent.text);
            assert.equal((await b.push(`to ${target}`)).messageId, sent.json.messageId);
        }
        await b.close();
    });

    it('kick, disconnect, ban and unban reach the peers of both nodes', async () => {
        const { ann, boss } = await scene('ann', 'boss');
        const admin = await nodes.peer(0, boss);
        const connected = async () => {
            const peers = [await nodes.peer(0, ann, { sessionId: 'near' })];
            peers.push(await nodes.peer(1, ann, { sessionId: 'far', session: peerKeys() }));
            await sees(admin, 3);
            return peers;
        };
        const kicked = await connected();
        const answer = await admin.request({ type: 'kick', target: ann.keys.hex });
        assert.equal(answer.kicked, 2);
        for (const peer of kicked) {
            assert.deepEqual(await peer.closed, kKicked);
        }
        await sees(admin, 1);

        const [near, far] = await connected();
        const one = await admin.request({ type: 'disconnect', target: far.key });
        assert.equal(one.kicked, 1);
        assert.deepEqual(await far.closed, { code: 1000, reason: 'disconnected' });
        await settled(near);
        const back = await nodes.peer(1, ann, { sessionId: 'far', session: far.session });
        assert.equal(back.ack.presenceId, far.ack.presenceId, 'its place was kept');

        assert.equal((await admin.request({ type: 'ban', target: 'ann' })).banned, 'ann');
        for (const peer of [near, back]) {
            assert.deepEqual(await peer.closed, kBanned);
        }
        await sees(admin, 1);
        for (const node of [0, 1]) {
            assert.equal(await refusal(node, ann), 'revoked', `node ${node}`);
        }
        assert.equal((await admin.request({ type: 'unban', target: 'ann' })).unbanned, 'ann');
        for (const node of [0, 1]) {
            const isIn = async () => (await refusal(node, ann)) === undefined;
            await until(isIn, { everyMs: 100, what: `let in at node ${node}` });
        }
        await admin.close();
    });

    it('a feed reaches the subscribers of both nodes, once and in order', async () => {
        const { ann, ben, cat } = await scene('ann', 'ben', 'cat');
        const a = await nodes.peer(0, ann);
        const near = await nodes.peer(0, ben);
        const far = await nodes.peer(1, cat);
        await sees(a, 3);
        await sees(far, 3);
        for (const peer of [near, far]) {
            await peer.request({ type: 'subscribe', stream: 'builds' });
        }
        const data = (peer) =>
            peer.messages.filter(({ type }) => type === 'stream_data').map((m) => m.data);
        const publish = (peer, value) =>
            peer.request({ type: 'publish', stream: 'builds', data: value });
        const values = Array.from({ length: 50 }, (_, i) => i);
        await Promise.all(values.map((value) => publish(a, value)));
        for (const peer of [near, far]) {
            await until(() => data(peer).length >= values.length, { what: 'the feed' });
            assert.deepEqual(data(peer), values);
        }
        await publish(far, 'back');
        await until(() => data(near).includes('back'), { what: 'the other way' });
        assert.ok(!data(far).includes('back'), 'not to who published it');
        await far.request({ type: 'unsubscribe', stream: 'builds' });
        await publish(a, 'last');
        await until(() => data(near).includes('last'), { what: 'the last' });
        await a.envelope(far.key, 'behind it');
        await far.push('behind it');
        assert.deepEqual(data(far), values);
        await Promise.all([a.close(), near.close(), far.close()]);
    });

    it('the observer of one node shows the peers of the other', async () => {
        const { mesh, ann, ben } = await scene('ann', 'ben');
        const [a, b] = [await nodes.peer(0, ann), await nodes.peer(1, ben)];
        const state = async (node) => {
            const headers = { Authorization: `Bearer ${kObserverToken}` };
            const path = `${nodes.servers[node].url}/observer/v1/state`;
            return (await fetch(path, { headers })).json();
        };
        b.send({ type: 'set_status', status: 'dnd' });
        for (const [node, elsewhere] of [
            [0, 'ben'],
            [1, 'ann'],
        ]) {
            const shown = await until(
                async () => {
                    const now = await state(node);
                    const peers = now.peers.filter((peer) => peer.mesh === mesh.slug);
                    const ready = peers.length === 2 && peers.some((p) => p.status === 'dnd');
                    return ready && peers;
                },
                { what: `both peers at node ${node}` },
            );
            assert.deepEqual(
                shown.map((peer) => [peer.name, peer.elsewhere]).sort(),
                [
                    ['ann', elsewhere === 'ann'],
                    ['ben', elsewhere === 'ben'],
                ],
            );
        }
        await b.close();
        await a.close();
    });

    it('a scheduled message fires once, though the node that took it has died', async () => {
        const { ann, ben } = await scene('ann', 'ben');
        const b = await nodes.peer(0, ben);
        await nodes.add();
        const a = await nodes.peer(2, ann);
        const message = { type: 'schedule', to: ben.keys.hex };
        const soon = await a.request({ ...message, message: 'soon', deliverAt: Date.now() });
        assert.equal(soon.type, 'scheduled_ack', JSON.stringify(soon));
        const deliverAt = Date.now() + 3_000;
        const later = await a.request({ ...message, message: 'later', deliverAt });
        assert.equal(later.type, 'scheduled_ack', JSON.stringify(later));
        await nodes.kill(2);
        const wanted = ['soon', 'later'].map((text) => Buffer.from(text).toString('base64'));
        for (const text of wanted) {
            await b.push(text, 60_000);
        }
        const again = await nodes.peer(1, ann);
        const listed = async () => (await again.request({ type: 'list_scheduled' })).messages;
        await until(async () => (await listed()).length === 0, { what: 'both are done' });
        await settled(b);
        assert.deepEqual(texts(b), wanted, 'each once');
        await Promise.all([again.close(), b.close()]);
    });

    it('a member that is removed and joins again at the same moment', async () => {
        const { mesh, ann } = await scene('ann');
        const { token } = await nodes.admin.invite(mesh, { maxUses: 100 });
        const path = `/admin/meshes/${mesh.id}/members/${ann.id}`;
        const rejoin = (node) =>
            join(nodes.servers[node].url, token, ann.keys.hex, 'ann', inviteOf(token));
        for (let round = 0; round < 12; round += 1) {
            const answers = await Promise.all([
                nodes.admin.call('DELETE', path),
                rejoin(1),
                rejoin(0),
                nodes.admin.call('DELETE', path),
                refusal(0, ann),
                refusal(1, ann),
            ]);
            for (const answer of answers.slice(0, 4)) {
                assert.ok(answer.status < 500, `${answer.status} ${answer.text}`);
            }
            for (const code of answers.slice(4)) {
                assert.ok([undefined, 'revoked', 'unauthorized'].includes(code), code);
            }
            // Both nodes come to what is stored.
            const { json } = await nodes.admin.call('GET', `/admin/meshes/${mesh.id}/members`);
            const stored = json.members.find(({ id }) => id === ann.id);
            const expected = stored.revokedAt ? 'revoked' : undefined;
            for (const node of [0, 1]) {
                const agrees = async () => (await refusal(node, ann)) === expected;
                await until(agrees, { everyMs: 100, what: `round ${round}, node ${node}` });
            }
            assert.equal((await rejoin(round % 2)).status, 200);
        }
        for (const node of [0, 1]) {
            const lines = nodes.servers[node].errorLines().map(({ text }) => text);
            assert.deepEqual(lines, []);
        }
    });
});
