import { describe, expect, it } from 'vitest';
import type { SeriesName } from '../pages/prekeys/api.ts';
import {
    addToBucket,
    bucketsMax,
    copyHistory,
    extendTo,
    gather,
    ratePerSecond,
    sumOver,
} from './history.ts';
import { sampleNow, sampleState, stepMs } from '../pages/prekeys/sample_state.ts';

function history(
    fetches: number[],
    change: Partial<Record<SeriesName, number[]>> = {},
    end = sampleNow,
) {
    const zeros = fetches.map(() => 0);
    const series = { issued: zeros, exhausted: zeros, withheld: zeros, registrations: zeros };
    return copyHistory(
        sampleState({ history: { stepMs, end, fetches, ...series, ...change } }).history,
    );
}

describe('extendTo', () => {
    it('adds empty buckets and carries gauges on', () => {
        const current = history([1, 2], { oneTimePreKeys: [9, 8] });
        extendTo(current, sampleNow + stepMs);
        expect(current.series.fetches).toEqual([1, 2, 0, 0]);
        expect(current.series.oneTimePreKeys).toEqual([9, 8, 8, 8]);
        expect(current.end).toBe(sampleNow + 2 * stepMs);
    });

    it('does nothing for a time already covered', () => {
        const current = history([1, 2]);
        extendTo(current, sampleNow - 1);
        expect(current.series.fetches).toEqual([1, 2]);
        expect(current.end).toBe(sampleNow);
    });

    it('keeps the newest half hour, even after a long sleep', () => {
        const current = history(Array<number>(bucketsMax).fill(1));
        extendTo(current, sampleNow + 3 * stepMs - 1);
        expect(current.series.fetches).toHaveLength(bucketsMax);
        expect(current.series.fetches.slice(-4)).toEqual([1, 0, 0, 0]);
        extendTo(current, sampleNow + 86_400_000);
        expect(current.series.fetches).toHaveLength(bucketsMax);
        expect(current.series.fetches.every((value) => value === 0)).toBe(true);
    });
});

describe('addToBucket', () => {
    it('finds the bucket by time and ignores what is outside', () => {
        const current = history([0, 0, 0]);
        addToBucket(current, 'fetches', sampleNow - 1);
        addToBucket(current, 'fetches', sampleNow - stepMs);
        addToBucket(current, 'fetches', sampleNow - stepMs - 1);
        addToBucket(current, 'fetches', sampleNow - 10 * stepMs);
        addToBucket(current, 'fetches', sampleNow);
        expect(current.series.fetches).toEqual([0, 1, 2]);
    });
});

describe('gather', () => {
    it('sums counts into bins on multiples of their width', () => {
        const end = 1_700_000_010_000;
        const bins = gather(history([1, 2, 3, 4], {}, end), 20_000, 10_000);
        expect(bins.starts).toEqual([end - 20_000, end - 10_000]);
        expect(bins.values.fetches).toEqual([3, 7]);
    });

    it('leaves out the partial last bin when only whole ones are wanted', () => {
        const end = 1_700_000_015_000;
        const all = gather(history([1, 2, 3], {}, end), 30_000, 10_000);
        const whole = gather(history([1, 2, 3], {}, end), 30_000, 10_000, true);
        expect(all.values.fetches).toEqual([3, 3]);
        expect(whole.values.fetches).toEqual([3]);
    });

    it('takes the last known value of a gauge, and null when there is none', () => {
        const end = 1_700_000_010_000;
        const stock = { oneTimePreKeys: [-1, -1, 40, -1] };
        const bins = gather(history([0, 0, 0, 0], stock, end), 20_000, 10_000);
        expect(bins.values.oneTimePreKeys).toEqual([null, 40]);
    });

    it('survives an empty history', () => {
        expect(gather(history([]), 300_000, 10_000).starts).toEqual([]);
    });
});

it('averages over finished buckets only', () => {
    expect(ratePerSecond(history([10, 5, 5, 100]), 'fetches', 10_000)).toBe(1);
    expect(ratePerSecond(history([7]), 'fetches', 60_000)).toBe(0);
});

it('sums over a time', () => {
    expect(sumOver(history([10, 5, 5, 100]), 'fetches', 10_000)).toBe(105);
});
