// The parts of the broker's measurement. One that fails does not take the others with it.
import { flushMilliseconds } from '../lib/disk.mjs';
import { removeDirectories } from '../lib/peers.mjs';
import { ms } from '../lib/table.mjs';
import { measureConnections } from './connections.mjs';
import { measureDirect } from './direct.mjs';
import { measureFanout } from './fanout.mjs';
import { measureNodes } from './nodes.mjs';
import { measureStores } from './stores.mjs';

const kParts = {
    'broker-direct': measureDirect,
    'broker-stores': measureStores,
    'broker-fanout': measureFanout,
    'broker-connections': measureConnections,
    'broker-nodes': measureNodes,
};

async function measure(names) {
    for (const name of names) {
        console.log(`\n${name}; a flush of the disk takes ${ms(flushMilliseconds())} ms`);
        try {
            await kParts[name]();
        } catch (error) {
            console.error(`${name}:`, error);
            process.exitCode = 1;
        }
    }
    removeDirectories();
}

export const brokerParts = Object.fromEntries(
    Object.keys(kParts).map((name) => [name, () => measure([name])]),
);
export const measureBroker = () => measure(Object.keys(kParts));
