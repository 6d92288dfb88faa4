// kill -9 of the broker under load, again and again (three times NAVE_KILL_ROUNDS). Couriers send to keys, to a
// group and to everyone, with many envelopes under way; they come back and repeat what was not
// acknowledged. Afterwards: every acknowledged envelope has arrived with everyone it was for, each
// is one envelope whoever names it, and per sender they came in order.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { Account, Courier } from '../support/broker_courier.mjs';
import { peerKeys } from '../support/broker_peer.mjs';
import { onEachBroker, Scene } from '../support/broker_scene.mjs';
import { until } from '../support/server.mjs';

const kRounds = 3 * Number(process.env.NAVE_KILL_ROUNDS ?? 8);
const kNames = ['ada', 'bob', 'cyd', 'dan', 'eve', 'fay', 'gus', 'hal'];
const kGroup = 'front';

// Every second one acknowledges, every third has a session key, one in four roams; the first sends
// to everyone now and then, the second to the group.
function makeCouriers(context, scene, account) {
    kNames.forEach((name, i) => {
        new Courier(context, account, scene[name], {
            acks: i % 2 === 0,
            session: i % 3 === 0 ? peerKeys() : undefined,
            groups: i >= 4 ? [{ name: kGroup }] : undefined,
            roams: i % 4 === 3 ? 150 : 0,
            priority: i === 5 ? 'now' : 'next',
            window: 4 + 8 * (i % 4),
            target: (n) => targetOf(account, i, n),
        });
    });
}

function targetOf({ couriers }, i, n) {
    if (i === 0 && n % 5 === 0) {
        return { spec: n % 2 === 0 ? '*' : '@all', to: couriers.filter((_, k) => k !== i) };
    }
    if (i === 1 && n % 3 === 0) {
        return { spec: `@${kGroup}`, to: couriers.slice(4) };
    }
    const receiver = couriers[(i + 1 + (n % 2)) % couriers.length];
    // Half of those with a session key are written to by their member key.
    return { spec: n % 4 < 2 ? receiver.key : receiver.member.keys.hex, to: [receiver] };
}

const kWaiting = `select (select count(*) from mesh_delivery) + (select count(*) from mesh_message
    where (recipient is not null and delivered_at is null) or live_recipients is not null)`;

onEachBroker(
    'kill -9 of the broker under load',
    (context) => {
        test(`${kRounds} crashes: nothing lost, nothing twice, in order`, async (t) => {
            const scene = await Scene.make(context, ...kNames);
            const account = new Account();
            makeCouriers(context, scene, account);
            t.after(() => account.end());
            await account.start();
            for (let round = 0; round < kRounds; round += 1) {
                if (round % 2 === 0) {
                    await account.allConnected();
                }
                const goal = account.acknowledged + 50 + crypto.randomInt(1_000);
                await until(() => account.acknowledged >= goal, {
                    everyMs: 1,
                    deadlineMs: 120_000,
                    what: `${goal} envelopes are acknowledged`,
                });
                await context.backend.killAndRestart();
            }
            await account.settle(120_000);
            assert.deepEqual(account.faults, []);
            assert.ok(account.couriers.every(({ connections }) => connections >= kRounds / 2));
            // The broker knows, too, that everything has arrived.
            await until(async () => Number((await context.backend.sql(kWaiting))[0][0]) === 0, {
                everyMs: 100,
                deadlineMs: 120_000,
                what: 'the queue is empty',
            });
            t.diagnostic(
                `${account.acknowledged} acknowledged, ${account.arrived} arrived, ` +
                    `${account.repeats} came again`,
            );
        });
    },
    { env: { BROKER_SEND_LIMIT: '100000/s:100000', BROKER_LOG_LEVEL: 'info' } },
);
