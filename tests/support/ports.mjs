// Loopback ports for programs that must be told theirs, or keep it while they are down. They are
// taken from below the range the kernel gives outgoing connections: there, a client that knocks
// again and again at a closed port may be given that very port, and connects to itself.
import crypto from 'node:crypto';
import net from 'node:net';

const kFirst = 12_000;
const kLast = 19_999; // scripts/private-postgres has those above

const isFree = (port) =>
    new Promise((resolve) => {
        const probe = net.createServer();
        probe.once('error', () => resolve(false));
        probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });

// Free when it was looked at: somebody else may be quicker, so whoever cannot listen asks again.
export async function freePort() {
    for (let tries = 0; tries < 100; tries += 1) {
        const port = crypto.randomInt(kFirst, kLast + 1);
        if (await isFree(port)) {
            return port;
        }
    }
    throw new Error('found no free port');
}
