// The rolling record of the last half hour in buckets of a few seconds: extended as time passes and as
// events arrive, then gathered into the wider bins that charts draw. Stock series are gauges, where -1
// says "not known"; all others are counts per bucket.
import { type History, type SeriesName, seriesNames } from './api.ts';

export const bucketsMax = 360;

const gauges: ReadonlySet<SeriesName> = new Set(['oneTimePreKeys', 'kemOneTimePreKeys']);

export type MutableHistory = {
    stepMs: number;
    end: number;
    series: Record<SeriesName, number[]>;
};

export function copyHistory(history: History): MutableHistory {
    const series = Object.fromEntries(
        seriesNames.map((name) => [name, history.series[name].slice()]),
    ) as Record<SeriesName, number[]>;
    return { stepMs: history.stepMs, end: history.end, series };
}

// Appends empty buckets until `at` lies before the end. Gauges carry their last value on.
export function extendTo(history: MutableHistory, at: number): void {
    const behind = Math.ceil((at + 1 - history.end) / history.stepMs);
    if (behind <= 0) {
        return;
    }
    const added = Math.min(behind, bucketsMax);
    for (const name of seriesNames) {
        const column = history.series[name];
        const filler = gauges.has(name) ? (column.at(-1) ?? -1) : 0;
        const longer = column.concat(Array<number>(added).fill(filler));
        history.series[name] = longer.slice(-bucketsMax);
    }
    history.end += behind * history.stepMs;
}

export function addToBucket(history: MutableHistory, name: SeriesName, at: number, n = 1): void {
    const column = history.series[name];
    const index = column.length - 1 - Math.floor((history.end - 1 - at) / history.stepMs);
    const value = column[index];
    if (value !== undefined) {
        column[index] = value + n;
    }
}

export function setGauge(history: MutableHistory, name: SeriesName, value: number): void {
    const column = history.series[name];
    if (column.length > 0) {
        column[column.length - 1] = value;
    }
}

export interface Bins {
    // Start of every bin, milliseconds.
    readonly starts: readonly number[];
    readonly binMs: number;
    readonly values: Readonly<Record<SeriesName, readonly (number | null)[]>>;
}

// Bins lie on multiples of their own width, so that a bar keeps its height while it moves left. The
// last bin may be partial, and the first one when the record is shorter than the window; `wholeOnly`
// leaves both out, for rates.
export function gather(history: History, windowMs: number, binMs: number, wholeOnly = false): Bins {
    const { stepMs, end } = history;
    const length = history.series.fetches.length;
    const begin = end - length * stepMs;
    const firstBin =
        end - windowMs > begin
            ? Math.ceil((end - windowMs) / binMs) * binMs
            : Math.floor(begin / binMs) * binMs;
    const starts: number[] = [];
    for (let start = firstBin; start < end; start += binMs) {
        const isWhole = start >= begin && start + binMs <= end;
        if (!wholeOnly || isWhole) {
            starts.push(start);
        }
    }
    const values = Object.fromEntries(
        seriesNames.map((name) => {
            const column = history.series[name];
            return [
                name,
                starts.map((start) => binValue(column, name, start, binMs, begin, stepMs)),
            ];
        }),
    ) as Record<SeriesName, (number | null)[]>;
    return { starts, binMs, values };
}

function binValue(
    column: readonly number[],
    name: SeriesName,
    start: number,
    binMs: number,
    begin: number,
    stepMs: number,
): number | null {
    const first = Math.max(0, Math.ceil((start - begin) / stepMs));
    const last = Math.min(column.length, Math.ceil((start + binMs - begin) / stepMs));
    if (gauges.has(name)) {
        for (let index = last - 1; index >= first; index--) {
            const value = column[index];
            if (value !== undefined && value >= 0) {
                return value;
            }
        }
        return null;
    }
    let sum = 0;
    for (let index = first; index < last; index++) {
        sum += column[index] ?? 0;
    }
    return sum;
}

// Events per second over the last `overMs` of finished buckets; the one still filling is left out.
export function ratePerSecond(history: History, name: SeriesName, overMs: number): number {
    const whole = history.series[name].slice(0, -1);
    const taken = whole.slice(-Math.max(1, Math.round(overMs / history.stepMs)));
    const total = taken.reduce((sum, value) => sum + value, 0);
    return taken.length === 0 ? 0 : total / ((taken.length * history.stepMs) / 1000);
}

export function sumOver(history: History, name: SeriesName, overMs: number): number {
    return history.series[name]
        .slice(-Math.max(1, Math.round(overMs / history.stepMs)))
        .reduce((sum, value) => sum + value, 0);
}
