import { describe, expect, it } from 'vitest';
import { type Series, evenScale, largest, smallest, stack, summary } from './chart_data.ts';

const series = (key: string, values: (number | null)[]): Series => ({
    key,
    label: key,
    colour: 1,
    values,
});

it('stacks from the first series upwards and takes gaps as nothing', () => {
    expect(stack([series('a', [1, null, 3]), series('b', [10, 20, null])])).toEqual([
        [1, 0, 3],
        [11, 20, 3],
    ]);
});

it('finds the extremes of what is known', () => {
    expect(largest([[1, null], [7]])).toBe(7);
    expect(smallest([[4, null], [7]])).toBe(4);
    expect(smallest([[null]])).toBe(0);
});

describe('evenScale', () => {
    const ends = (low: number, high: number, parts = 4, whole = false) => {
        const { from, to } = evenScale(low, high, parts, whole);
        return [from, to];
    };

    it('begins at nothing and ends at a calm number above the highest value', () => {
        expect(ends(0, 0)).toEqual([0, 1]);
        expect(ends(0, 5.9)).toEqual([0, 6]);
        expect(ends(0, 14, 2)).toEqual([0, 16]);
        expect(ends(0, 347)).toEqual([0, 400]);
    });

    it('draws lines at both ends and equal steps between', () => {
        expect(evenScale(0, 347, 4, true).lines).toEqual([0, 100, 200, 300, 400]);
    });

    it('uses whole numbers for things that are counted', () => {
        expect(evenScale(0, 1, 4, true).lines).toEqual([0, 1, 2, 3, 4]);
        expect(evenScale(0, 5, 4, true).lines).toEqual([0, 2, 4, 6, 8]);
    });

    it('follows values far from nothing and always holds them', () => {
        for (const [low, high] of [
            [40_120, 41_980],
            [17_001, 17_002],
            [99, 1001],
            [0.4, 0.5],
        ] as const) {
            const { from, to } = evenScale(low, high, 4, false);
            expect(from).toBeLessThanOrEqual(low);
            expect(to).toBeGreaterThanOrEqual(high);
            expect(to - from).toBeLessThanOrEqual((high - low) * 4);
        }
    });
});

it('says the chart in a sentence', () => {
    const text = summary(
        [series('Fetches', [2, 9, 4]), series('Low', [null, null, null])],
        [0, 60, 120],
        String,
        (at) => `t${at}`,
    );
    expect(text).toBe('t0 to t120. Fetches: now 4, highest 9 at t60. Low: not known.');
});

it('says when there is nothing', () => {
    expect(summary([], [], String, String)).toBe('No data yet.');
});
