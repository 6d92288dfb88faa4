// The numbers behind a chart in the shapes it needs: columns for uPlot, stacked sums, the scale
// and the sentence a screen reader gets instead of the picture.

export interface Series {
    readonly key: string;
    readonly label: string;
    // Index into the palette --series-1, --series-2, ...
    readonly colour: number;
    readonly values: readonly (number | null)[];
}

// Sums from the first series upwards: row i of the result is the top edge of series i.
export function stack(series: readonly Series[]): number[][] {
    const tops: number[][] = [];
    for (const [index, { values }] of series.entries()) {
        const below = tops[index - 1];
        tops.push(values.map((value, at) => (value ?? 0) + (below?.[at] ?? 0)));
    }
    return tops;
}

export function largest(columns: readonly (readonly (number | null)[])[]): number {
    let most = 0;
    for (const column of columns) {
        for (const value of column) {
            most = Math.max(most, value ?? 0);
        }
    }
    return most;
}

export function smallest(columns: readonly (readonly (number | null)[])[]): number {
    let least = Number.POSITIVE_INFINITY;
    for (const column of columns) {
        for (const value of column) {
            least = Math.min(least, value ?? least);
        }
    }
    return Number.isFinite(least) ? least : 0;
}

const calmSteps = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

function calmStep(least: number, wholeNumbers: boolean): number {
    const magnitude = 10 ** Math.floor(Math.log10(least));
    const candidates = calmSteps.map((step) => step * magnitude);
    const fits = (step: number) => step >= least && (!wholeNumbers || Number.isInteger(step));
    return candidates.find(fits) ?? Math.ceil(least);
}

export interface Scale {
    readonly from: number;
    readonly to: number;
    // The values of the grid lines, from the lower end to the upper.
    readonly lines: readonly number[];
}

// A scale around the values, cut into equal parts by calm numbers; grid lines at both ends. It changes
// seldom, so that a live chart does not jitter.
export function evenScale(low: number, high: number, parts: number, wholeNumbers: boolean): Scale {
    const spread = high - low;
    let step = calmStep(spread > 0 ? spread / parts : 1 / parts, wholeNumbers);
    let from = Math.floor(low / step) * step;
    if (from + step * parts < high) {
        step = calmStep((high - from) / parts, wholeNumbers);
        from = Math.floor(low / step) * step;
    }
    while (from + step * parts < high) {
        step = calmStep(step * 1.01, wholeNumbers);
        from = Math.floor(low / step) * step;
    }
    const lines = Array.from({ length: parts + 1 }, (_, index) => from + index * step);
    return { from, to: from + step * parts, lines };
}

export function summary(
    series: readonly Series[],
    starts: readonly number[],
    format: (value: number) => string,
    formatTime: (at: number) => string,
): string {
    const first = starts[0];
    const last = starts.at(-1);
    if (first === undefined || last === undefined) {
        return 'No data yet.';
    }
    const parts = series.map(({ label, values }) => {
        const known = values.filter((value): value is number => value !== null);
        const latest = known.at(-1);
        if (latest === undefined) {
            return `${label}: not known`;
        }
        const peak = Math.max(...known);
        return `${label}: now ${format(latest)}, highest ${format(peak)} at ${formatTime(starts[values.indexOf(peak)] ?? first)}`;
    });
    return `${formatTime(first)} to ${formatTime(last)}. ${parts.join('. ')}.`;
}
