// Servers take turns, round after round, so that what else the machine does falls on all of them;
// what is told is the middle round, and ratios are made within a round.
import { median, medianRun } from '../lib/wrk.mjs';

const kRounds = 3;

// `runs` maps names to functions that measure once; resolves with all results under the same names.
export async function takeTurns(runs, rounds = kRounds) {
    const results = new Map([...runs.keys()].map((name) => [name, []]));
    for (let round = 0; round < rounds; round += 1) {
        for (const [name, run] of runs) {
            results.get(name).push(await run());
        }
    }
    return results;
}

export const middle = (results, name) => ({
    ...medianRun(results.get(name)),
    perCpuSecond: median(results.get(name).map((one) => one.perCpuSecond)),
});

// How many times `field` of one is that of the other, in the middle round.
export const ratio = (results, one, other, field = 'perCpuSecond') =>
    median(results.get(one).map((run, round) => run[field] / results.get(other)[round][field]));
