// Couriers: clients that must not lose anything. A courier comes back after every lost connection,
// repeats what was not acknowledged under the same client_message_id, and enters what it sends and
// gets in an account, which knows what ought to be true of all of them together.
import crypto from 'node:crypto';
import { Peer } from './broker_peer.mjs';
import { until } from './server.mjs';

const kBackoffMs = [20, 50, 100, 200, 400, 800];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Account {
    constructor() {
        this.couriers = [];
        this.sent = new Map(); // client id -> entry
        this.faults = [];
        this.acknowledged = 0;
        this.arrived = 0; // first arrivals
        this.repeats = 0; // arrivals of what had arrived before
    }

    fault(text) {
        if (this.faults.length < 20) {
            this.faults.push(text);
        }
    }

    // One envelope has one message id, whoever names it.
    identify(entry, messageId, by) {
        entry.messageId ??= messageId;
        if (entry.messageId !== messageId) {
            this.fault(`${by}: ${entry.clientId} is ${messageId}, and was ${entry.messageId}`);
        }
    }

    // All connect, and once they are all there, send.
    async start() {
        this.couriers.forEach((courier) => courier.start());
        await this.allConnected();
        this.couriers.forEach((courier) => {
            courier.sends = true;
            courier.pump();
        });
    }

    allConnected() {
        return until(() => this.couriers.every(({ connected }) => connected), {
            deadlineMs: 120_000,
            what: 'every courier is connected',
        });
    }

    async end() {
        await Promise.all(this.couriers.map((courier) => courier.end()));
    }

    // Acknowledged to its sender, but not with everyone it was for.
    missing() {
        return [...this.sent.values()].filter(
            (entry) => entry.acknowledged && entry.waits.size > 0,
        );
    }

    // Everyone stops sending new envelopes; the rest is acknowledged and arrives.
    async settle(deadlineMs = 60_000) {
        this.couriers.forEach((courier) => (courier.sends = false));
        const left = () => this.couriers.filter((courier) => courier.open.size > 0);
        await until(() => left().length === 0, {
            deadlineMs,
            what: 'every envelope is acknowledged',
        });
        const arrived = until(() => this.missing().length === 0, { deadlineMs });
        await arrived.catch(() => {
            const missing = this.missing();
            const some = missing
                .slice(0, 8)
                .map((entry) => `${entry.clientId} to ${entry.target}: not at ${[...entry.waits]}`);
            throw new Error(`${missing.length} acknowledged but lost:\n${some.join('\n')}`);
        });
    }
}

export class Courier {
    // `acks`: answers every push with client_ack. `target(n)` names where envelope n goes:
    // { spec, to: [couriers] }. `window`: envelopes sent but not acknowledged. `pauseMs`: rests so
    // long before the next one. `roams`: leaves after about so many pushes, as a broken connection
    // does, and comes back.
    constructor(context, account, member, options = {}) {
        this.context = context;
        this.account = account;
        this.member = member;
        this.name = member.name;
        this.options = { window: 16, priority: 'next', ...options };
        this.open = new Map(); // client id -> entry, in the order of sending
        this.counter = 0;
        this.sends = false;
        this.ended = false;
        this.connections = 0;
        this.refused = 0;
        this.lastFirst = new Map(); // sender -> number of the last first arrival
        account.couriers.push(this);
    }

    get key() {
        return this.options.session?.hex ?? this.member.keys.hex;
    }

    start() {
        this.done = this.run();
        return this;
    }

    async run() {
        for (let failures = 0; !this.ended; failures += 1) {
            const before = this.connections;
            await this.connection().catch(() => undefined);
            if (this.connections > before) {
                failures = 0;
            }
            await pause(this.ended ? 0 : kBackoffMs[Math.min(failures, kBackoffMs.length - 1)]);
        }
    }

    // From the handshake to the close.
    async connection() {
        const { session, groups } = this.options;
        const peer = new Peer(this.context.server.url, this.member, {
            session,
            groups,
            sessionId: `session of ${this.name}`,
        });
        const place = { last: new Map(), seen: new Set(), pushes: 0, leavesAt: this.leavesAt() };
        peer.watchers.add((message) => this.receive(peer, place, message));
        try {
            await peer.opened;
            // The broker may be killed before it answers.
            const lost = peer.closed.then(() => Promise.reject(new Error('closed before the ack')));
            await Promise.race([peer.hello(), lost]);
            this.connections += 1;
            this.peer = peer;
            this.open.forEach((entry) => this.transmit(entry));
            this.pump();
            await peer.closed;
        } finally {
            this.peer = undefined;
            peer.socket.terminate();
        }
    }

    leavesAt() {
        const { roams } = this.options;
        return roams ? roams + crypto.randomInt(roams) : Infinity;
    }

    get connected() {
        return this.peer !== undefined;
    }

    // Sends new envelopes as far as the window allows.
    pump() {
        while (this.sends && this.connected && this.open.size < this.options.window) {
            this.counter += 1;
            const { spec, to } = this.options.target(this.counter);
            const entry = {
                clientId: `${this.name}/${this.counter}`,
                sender: this.name,
                number: this.counter,
                target: spec,
                acknowledged: false,
                waits: new Set(to.map(({ name }) => name)),
            };
            this.open.set(entry.clientId, entry);
            this.account.sent.set(entry.clientId, entry);
            this.transmit(entry);
        }
    }

    transmit(entry) {
        this.peer?.send({
            type: 'send',
            id: entry.clientId,
            targetSpec: entry.target,
            priority: this.options.priority,
            nonce: 'bm9uY2U=',
            ciphertext: `${entry.clientId} to ${entry.target}`,
            client_message_id: entry.clientId,
        });
    }

    receive(peer, place, message) {
        if (message.type === 'push') {
            this.arrive(peer, place, message);
        } else if (message.type === 'ack') {
            this.answered(message);
        }
    }

    answered(ack) {
        const entry = this.open.get(ack.id);
        if (!entry) {
            return;
        }
        if (!ack.queued) {
            // Sent again a moment later: what follows it may overtake it.
            this.refused += 1;
            entry.refused = true;
            setTimeout(() => this.open.has(ack.id) && this.transmit(entry), 200);
            return;
        }
        this.account.identify(entry, ack.messageId, `ack to ${this.name}`);
        entry.acknowledged = true;
        this.account.acknowledged += 1;
        this.open.delete(ack.id);
        if (this.options.pauseMs) {
            setTimeout(() => this.pump(), this.options.pauseMs);
        } else {
            this.pump();
        }
    }

    arrive(peer, place, push) {
        const { account } = this;
        const clientId = push.client_message_id;
        const entry = account.sent.get(clientId);
        if (!entry || push.ciphertext !== `${clientId} to ${entry.target}`) {
            account.fault(`${this.name} got what nobody sent: ${JSON.stringify(push)}`);
            return;
        }
        account.identify(entry, push.messageId, `push to ${this.name}`);
        // On one connection nothing comes twice, and a sender's envelopes come in order.
        this.inOrder(place.last, entry, 'on one connection');
        if (place.seen.has(clientId)) {
            account.fault(`${this.name}: ${clientId} twice on one connection`);
        }
        place.seen.add(clientId);
        if (entry.waits.delete(this.name)) {
            account.arrived += 1;
            this.inOrder(this.lastFirst, entry, 'over all connections');
        } else {
            account.repeats += 1;
        }
        if (this.options.acks && peer.socket.readyState === 1) {
            const byBroker = entry.number % 2 === 0;
            peer.send({
                type: 'client_ack',
                ...(byBroker
                    ? { brokerMessageId: push.messageId }
                    : { clientMessageId: clientId }),
            });
        }
        place.pushes += 1;
        if (place.pushes === place.leavesAt) {
            peer.socket.terminate();
        }
    }

    inOrder(last, entry, where) {
        const before = last.get(entry.sender) ?? 0;
        if (entry.refused) {
            return;
        }
        if (entry.number < before) {
            this.account.fault(`${this.name}: ${entry.clientId} after ${before} ${where}`);
        }
        last.set(entry.sender, entry.number);
    }

    async end() {
        this.ended = true;
        this.peer?.socket.close();
        await this.done;
    }
}
