// The rolling record of the last half hour in buckets of a few seconds: extended as time passes and as
// events arrive, then gathered into the wider bins that charts draw. In gauges -1 says "not known"; all
// other series are counts per bucket.
import { count, list, object } from './wire.ts';

export const bucketsMax = 360;

export interface History<Name extends string> {
    readonly stepMs: number;
    // The end of the last bucket; it may lie up to one step ahead of now.
    readonly end: number;
    readonly series: Readonly<Record<Name, readonly number[]>>;
    // Which of the series are gauges.
    readonly gauges: readonly Name[];
}

export interface MutableHistory<Name extends string> {
    stepMs: number;
    end: number;
    series: Record<Name, number[]>;
    gauges: readonly Name[];
}

function namesOf<Name extends string>(history: History<Name>): Name[] {
    return Object.keys(history.series) as Name[];
}

// As a server writes it: {"stepMs", "end", "<name>": [...], ...}.
export function parseHistory<Name extends string>(
    value: unknown,
    names: readonly Name[],
    gauges: readonly Name[],
    now: number,
): History<Name> {
    const source = object(value);
    const columns = names.map((name) => list(source[name]).slice(-bucketsMax));
    const length = Math.max(0, ...columns.map((column) => column.length));
    const series = Object.fromEntries(
        names.map((name, index) => {
            const column = columns[index] ?? [];
            const unknown = gauges.includes(name) ? -1 : 0;
            const missing = Array<number>(length - column.length).fill(unknown);
            return [name, [...missing, ...column.map((entry) => count(entry, unknown))]];
        }),
    ) as Record<Name, number[]>;
    return {
        stepMs: Math.max(1000, count(source['stepMs'], 5000)),
        end: count(source['end'], now),
        series,
        gauges,
    };
}

export function copyHistory<Name extends string>(history: History<Name>): MutableHistory<Name> {
    const series = Object.fromEntries(
        namesOf(history).map((name) => [name, history.series[name].slice()]),
    ) as Record<Name, number[]>;
    return { stepMs: history.stepMs, end: history.end, series, gauges: history.gauges };
}

// Appends empty buckets until `at` lies before the end. Gauges carry their last value on.
export function extendTo<Name extends string>(history: MutableHistory<Name>, at: number): void {
    const behind = Math.ceil((at + 1 - history.end) / history.stepMs);
    if (behind <= 0) {
        return;
    }
    const added = Math.min(behind, bucketsMax);
    for (const name of namesOf(history)) {
        const column = history.series[name];
        const filler = history.gauges.includes(name) ? (column.at(-1) ?? -1) : 0;
        const longer = column.concat(Array<number>(added).fill(filler));
        history.series[name] = longer.slice(-bucketsMax);
    }
    history.end += behind * history.stepMs;
}

export function addToBucket<Name extends string>(
    history: MutableHistory<Name>,
    name: Name,
    at: number,
    n = 1,
): void {
    const column = history.series[name];
    const index = column.length - 1 - Math.floor((history.end - 1 - at) / history.stepMs);
    const value = column[index];
    if (value !== undefined) {
        column[index] = value + n;
    }
}

export function setGauge<Name extends string>(
    history: MutableHistory<Name>,
    name: Name,
    value: number,
): void {
    const column = history.series[name];
    if (column.length > 0) {
        column[column.length - 1] = value;
    }
}

export interface Bins<Name extends string> {
    // Start of every bin, milliseconds.
    readonly starts: readonly number[];
    readonly binMs: number;
    readonly values: Readonly<Record<Name, readonly (number | null)[]>>;
}

// Bins lie on multiples of their own width, so that a bar keeps its height while it moves left. The
// last bin may be partial, and the first one when the record is shorter than the window; `wholeOnly`
// leaves both out, for rates.
export function gather<Name extends string>(
    history: History<Name>,
    windowMs: number,
    binMs: number,
    wholeOnly = false,
): Bins<Name> {
    const { stepMs, end } = history;
    const names = namesOf(history);
    const length = names[0] === undefined ? 0 : history.series[names[0]].length;
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
        names.map((name) => {
            const column = history.series[name];
            const isGauge = history.gauges.includes(name);
            return [
                name,
                starts.map((start) => binValue(column, isGauge, start, binMs, begin, stepMs)),
            ];
        }),
    ) as Record<Name, (number | null)[]>;
    return { starts, binMs, values };
}

function binValue(
    column: readonly number[],
    isGauge: boolean,
    start: number,
    binMs: number,
    begin: number,
    stepMs: number,
): number | null {
    const first = Math.max(0, Math.ceil((start - begin) / stepMs));
    const last = Math.min(column.length, Math.ceil((start + binMs - begin) / stepMs));
    if (isGauge) {
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
export function ratePerSecond<Name extends string>(
    history: History<Name>,
    name: Name,
    overMs: number,
): number {
    const whole = history.series[name].slice(0, -1);
    const taken = whole.slice(-Math.max(1, Math.round(overMs / history.stepMs)));
    const total = taken.reduce((sum, value) => sum + value, 0);
    return taken.length === 0 ? 0 : total / ((taken.length * history.stepMs) / 1000);
}

export function sumOver<Name extends string>(
    history: History<Name>,
    name: Name,
    overMs: number,
): number {
    return history.series[name]
        .slice(-Math.max(1, Math.round(overMs / history.stepMs)))
        .reduce((sum, value) => sum + value, 0);
}
