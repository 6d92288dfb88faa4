// How long to wait before the next attempt: doubling from half a second to half a minute, each wait
// drawn from its upper half so that many consoles do not return to a restarted server in step.

const firstMs = 500;
const longestMs = 30_000;

export function backoffMs(attempt: number, random: () => number = Math.random): number {
    const ceiling = Math.min(longestMs, firstMs * 2 ** Math.min(attempt, 16));
    return Math.round(ceiling / 2 + (random() * ceiling) / 2);
}
