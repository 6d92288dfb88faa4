// One of two nodes is cut off from Redis or from PostgreSQL while messages go both ways: what was
// acknowledged arrives, and a client that knows messages by their id sees each once.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Nodes, nodesMissing } from '../support/nodes.mjs';
import { until } from '../support/server.mjs';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Sends until it is told to stop; `acked` are the texts that the broker took.
class Talker {
    constructor(peer, target, name) {
        Object.assign(this, { peer, target, name, acked: [], refused: 0, running: true });
        this.done = this.talk();
    }

    async talk() {
        for (let i = 0; this.running; i += 1) {
            const text = `${this.name} ${i}`;
            const answer = await this.peer
                .envelope(i % 4 === 3 ? '*' : this.target, text, { client_message_id: text })
                .catch(() => undefined);
            if (answer?.type === 'ack' && !answer.error) {
                this.acked.push(text);
            } else {
                this.refused += 1;
            }
            await pause(60); // below the rate limit of one member
        }
    }

    stop() {
        this.running = false;
        return this.done;
    }
}

// The ids under which each text arrived.
function arrived(peer) {
    const ids = new Map();
    for (const { ciphertext, messageId } of peer.pushes()) {
        ids.set(ciphertext, (ids.get(ciphertext) ?? new Set()).add(messageId));
    }
    return ids;
}

async function expectAll(receiver, acked) {
    await until(() => acked.every((text) => arrived(receiver).has(text)), {
        deadlineMs: 120_000,
        what: 'everything acknowledged has arrived',
    }).catch((error) => {
        const ids = arrived(receiver);
        const lost = acked.filter((text) => !ids.has(text));
        throw new Error(`${lost.length} of ${acked.length} lost: ${lost.slice(0, 10)}`, {
            cause: error,
        });
    });
    for (const [text, ids] of arrived(receiver)) {
        assert.equal(ids.size, 1, `${text} came under ${ids.size} ids`);
    }
}

describe('one of two nodes is cut off', { skip: nodesMissing() }, () => {
    let nodes;
    before(async () => {
        nodes = await Nodes.start(2, { gates: true });
    });
    after(async () => {
        await nodes?.finish();
    });

    const pair = async () => {
        const mesh = await nodes.admin.createMesh();
        const ann = await nodes.admin.member(mesh, 'ann');
        const ben = await nodes.admin.member(mesh, 'ben');
        const a = await nodes.peer(0, ann);
        const b = await nodes.peer(1, ben);
        await until(
            async () => (await a.request({ type: 'list_peers' })).peers.length === 2,
            { what: 'both are there' },
        );
        return { mesh, a, b };
    };

    it('from Redis', async () => {
        const { a, b } = await pair();
        const talkers = [new Talker(a, b.key, 'a'), new Talker(b, a.key, 'b')];
        await pause(300);
        nodes.gates[0].redis.cut();
        await until(async () => (await nodes.health(0)).bus === 'down', { what: 'noticed' });
        assert.equal((await nodes.health(1)).bus, 'up', 'the other node is not');
        const [toB] = talkers;
        const before = toB.acked.length;
        await until(() => toB.acked.length > before + 10, { what: 'sending goes on' });
        // While it is cut off: the other node polls, as the sign of life says.
        const text = toB.acked.at(-1);
        await until(() => arrived(b).has(text), { what: 'polled' });
        nodes.gates[0].redis.mend();
        await until(async () => (await nodes.health(0)).status === 'ok', { what: 'mended' });
        await pause(300);
        await Promise.all(talkers.map((talker) => talker.stop()));
        await expectAll(b, talkers[0].acked);
        await expectAll(a, talkers[1].acked);
        assert.equal(talkers[0].refused + talkers[1].refused, 0);
        await Promise.all([a.close(), b.close()]);
    });

    it('from PostgreSQL, for longer than a node lives', async () => {
        const { a, b } = await pair();
        const talkers = [new Talker(a, b.key, 'a'), new Talker(b, a.key, 'b')];
        await pause(300);
        nodes.gates[0].postgres.cut();
        // The other node takes it for dead.
        await nodes.servers[1].waitForLog((line) => line.msg === 'a node is gone');
        await until(
            async () => (await b.request({ type: 'list_peers' })).peers.length === 1,
            { what: 'its peers are gone' },
        );
        await until(() => talkers[0].refused > 0, { what: 'nothing can be sent there' });
        nodes.gates[0].postgres.mend();
        await nodes.servers[0].waitForLog((line) => /was taken for dead/.test(line.msg));
        await until(
            async () => (await b.request({ type: 'list_peers' })).peers.length === 2,
            { what: 'its peers are back' },
        );
        const before = talkers[0].acked.length;
        await until(() => talkers[0].acked.length > before + 10, { what: 'sending again' });
        await Promise.all(talkers.map((talker) => talker.stop()));
        await expectAll(b, talkers[0].acked);
        await expectAll(a, talkers[1].acked);
        assert.equal(talkers[1].refused, 0, 'the other node never refused');
        await Promise.all([a.close(), b.close()]);
    });

    it('from PostgreSQL for a moment', async () => {
        const { a, b } = await pair();
        const talkers = [new Talker(a, b.key, 'a'), new Talker(b, a.key, 'b')];
        for (let i = 0; i < 3; i += 1) {
            await pause(400);
            nodes.gates[0].postgres.cut();
            await pause(300);
            nodes.gates[0].postgres.mend();
        }
        const before = talkers[0].acked.length;
        await until(() => talkers[0].acked.length > before + 10, { what: 'sending again' });
        await Promise.all(talkers.map((talker) => talker.stop()));
        await expectAll(b, talkers[0].acked);
        await expectAll(a, talkers[1].acked);
        await Promise.all([a.close(), b.close()]);
    });
});
