import { describe, expect, it } from 'vitest';
import {
    ageInWords,
    ago,
    countdown,
    day,
    formatBytes,
    formatCount,
    formatDuration,
    formatPercent,
    formatRate,
    hour,
    minute,
    plural,
    second,
} from './format.ts';

it('groups counts and shortens huge ones', () => {
    expect([0, 999, 12_345, 9_999_999, 12_345_678].map(formatCount)).toEqual([
        '0',
        '999',
        '12,345',
        '9,999,999',
        '12.35M',
    ]);
});

describe('formatPercent', () => {
    it('never rounds something to nothing, nor nearly all to all', () => {
        expect(formatPercent(1, 100_000)).toBe('<0.1 %');
        expect(formatPercent(99_999, 100_000)).toBe('>99.9 %');
    });

    it('shows a dash when there is no whole', () => {
        expect(formatPercent(0, 0)).toBe('–');
    });

    it('keeps one decimal', () => {
        expect(formatPercent(0, 5)).toBe('0 %');
        expect(formatPercent(5, 5)).toBe('100 %');
        expect(formatPercent(1, 3)).toBe('33.3 %');
        expect(formatPercent(1, 40)).toBe('2.5 %');
    });
});

it('speaks of slow rates per minute', () => {
    expect(formatRate(0)).toEqual({ value: '0', unit: 'per second' });
    expect(formatRate(0.05)).toEqual({ value: '3', unit: 'per minute' });
    expect(formatRate(0.004)).toEqual({ value: '0.24', unit: 'per minute' });
    expect(formatRate(6.37)).toEqual({ value: '6.4', unit: 'per second' });
    expect(formatRate(10)).toEqual({ value: '10', unit: 'per second' });
    expect(formatRate(1930.4)).toEqual({ value: '1,930', unit: 'per second' });
});

it('says ages in words', () => {
    const ages = [0, second, 59 * second, minute, 90 * minute, 47 * hour, 2 * day, 400 * day];
    expect(ages.map(ageInWords)).toEqual([
        '1 second',
        '1 second',
        '59 seconds',
        '1 minute',
        '1 hour',
        '47 hours',
        '2 days',
        '400 days',
    ]);
});

it('says when something was', () => {
    expect(ago(null, 0)).toBe('never');
    expect(ago(1000, 1500)).toBe('just now');
    expect(ago(2000, 1500)).toBe('just now');
    expect(ago(0, 3 * minute)).toBe('3 minutes ago');
});

it('shortens durations', () => {
    expect(
        [5 * second, 12 * minute, 3 * hour + 5 * minute, 3 * day + 4 * hour].map(formatDuration),
    ).toEqual(['5 s', '12 min', '3 h 5 min', '3 d 4 h']);
    expect(formatDuration(-5)).toBe('0 s');
});

it('counts down in whole seconds', () => {
    expect([7200, 1000, 400, -3].map(countdown)).toEqual(['in 8 s', 'in 1 s', 'now', 'now']);
});

it('agrees nouns with numbers', () => {
    expect(plural(1, 'key', 'keys')).toBe('1 key');
    expect(plural(1200, 'key', 'keys')).toBe('1,200 keys');
});

it('shows bytes in the unit that fits', () => {
    expect([0, 1023, 1024, 1536, 65_536, 524_288, 1_048_576, 16_777_216].map(formatBytes)).toEqual([
        '0 B',
        '1023 B',
        '1 KB',
        '1.5 KB',
        '64 KB',
        '512 KB',
        '1 MB',
        '16 MB',
    ]);
});
