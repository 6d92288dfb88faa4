// A live time chart on a canvas, with what a canvas lacks: a legend that shows the numbers under the
// pointer, arrow keys that move through time, a sentence in words, and the figures as a table.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { announce } from '../console/announcer.tsx';
import { useStore } from '../console/store.ts';
import { paletteStore } from '../console/theme.ts';
import {
    type Scale,
    type Series,
    evenScale,
    largest,
    smallest,
    stack,
    summary,
} from './chart_data.ts';
import { type Quantity, formatClock, formatShortClock } from './format.ts';

const defaultHeight = 190;

export interface ChartProps {
    readonly label: string;
    readonly kind: 'lines' | 'stacked';
    // Start of every bin on the server's clock, milliseconds.
    readonly starts: readonly number[];
    readonly series: readonly Series[];
    // How much time the chart spans, up to its newest bin.
    readonly windowMs: number;
    readonly format: (value: number) => string;
    // What one number is: "per minute", "keys".
    readonly unit: string;
    // Shown over an empty chart.
    readonly emptyText: string;
    // Stock reads better when the scale need not begin at zero.
    readonly fromZero?: boolean;
    readonly height?: number;
    readonly wholeNumbers?: boolean;
    // For a single series: the figure that stands above the chart instead of a legend.
    readonly headline?: Quantity;
    readonly testId?: string;
}

export function Chart(props: ChartProps) {
    const { label, starts, series, format } = props;
    const [cursor, setCursor] = useState<number | null>(null);
    const host = useRef<HTMLDivElement>(null);
    const plot = usePlot(host, props, setCursor);
    const at = cursor !== null && cursor < starts.length ? cursor : null;
    const hasData = largest(series.map((one) => one.values)) > 0;
    const words = useMemo(
        () => summary(series, starts, format, formatShortClock),
        [series, starts, format],
    );

    const move = (event: KeyboardEvent) => {
        const last = starts.length - 1;
        const from = at ?? last + 1;
        const target = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last }[event.key];
        if (event.key === 'Escape') {
            setCursor(null);
            plot.current?.setCursor({ left: -10, top: -10 }, false);
            return;
        }
        if (target === undefined || last < 0) {
            return;
        }
        event.preventDefault();
        const index = Math.min(last, Math.max(0, target));
        showCursor(plot.current, index);
        setCursor(index);
        announce(`${formatClock(starts[index] ?? 0)}: ${readout(series, index, format)}`);
    };

    return (
        <figure class="chart" aria-label={label}>
            {props.headline === undefined ? (
                <Legend {...props} at={at} />
            ) : (
                <Headline {...props} headline={props.headline} at={at} />
            )}
            <div
                class="plot"
                role="img"
                tabIndex={0}
                aria-label={`${label}, ${props.unit}. ${words} Arrow keys move through time.`}
                onKeyDown={move}
                onBlur={() => setCursor(null)}
                style={{ height: `${props.height ?? defaultHeight}px` }}
            >
                <div class="plot-canvas" ref={host} />
                {!hasData && <span class="plot-empty">{props.emptyText}</span>}
            </div>
            <DataTable {...props} />
        </figure>
    );
}

function Legend({ series, starts, format, unit, at }: ChartProps & { at: number | null }) {
    return (
        <ul class="legend">
            {series.map((one) => (
                <li key={one.key}>
                    <span class={`swatch swatch-${one.colour}`} aria-hidden="true" />
                    <span class="legend-label">{one.label}</span>
                    <span class="legend-value">{valueAt(one, at, format)}</span>
                </li>
            ))}
            <li class="legend-time">{at === null ? unit : formatClock(starts[at] ?? 0)}</li>
        </ul>
    );
}

function Headline(props: ChartProps & { headline: Quantity; at: number | null }) {
    const { series, starts, format, headline, unit, at } = props;
    const only = series[0];
    if (only === undefined) {
        return null;
    }
    return (
        <dl class="figure">
            <dt>
                <span class={`swatch swatch-${only.colour}`} aria-hidden="true" />
                {only.label}
            </dt>
            <dd data-testid={props.testId}>
                <span class="figure-value">
                    {at === null ? headline.value : valueAt(only, at, format)}
                </span>
                <span class="figure-unit">
                    {at === null ? headline.unit : `${unit}, ${formatClock(starts[at] ?? 0)}`}
                </span>
            </dd>
        </dl>
    );
}

function DataTable({ label, starts, series, format, unit }: ChartProps) {
    const [open, setOpen] = useState(false);
    return (
        <details class="data-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
            <summary>Table</summary>
            {open && (
                <div
                    class="data-table-scroll"
                    tabIndex={0}
                    role="group"
                    aria-label={`${label}, table`}
                >
                    <table>
                        <caption class="visually-hidden">
                            {label}, {unit}
                        </caption>
                        <thead>
                            <tr>
                                <th scope="col">Time</th>
                                {series.map((one) => (
                                    <th key={one.key} scope="col">
                                        {one.label}
                                    </th>
                                ))}
                            </tr>
                        </thead>
                        <tbody>
                            {starts
                                .map((start, index) => (
                                    <tr key={start}>
                                        <th scope="row">{formatClock(start)}</th>
                                        {series.map((one) => (
                                            <td key={one.key}>{cell(one.values[index], format)}</td>
                                        ))}
                                    </tr>
                                ))
                                .reverse()}
                        </tbody>
                    </table>
                </div>
            )}
        </details>
    );
}

function cell(value: number | null | undefined, format: (value: number) => string): string {
    return value === null || value === undefined ? '–' : format(value);
}

function valueAt(one: Series, at: number | null, format: (value: number) => string): string {
    return cell(at === null ? one.values.at(-1) : one.values[at], format);
}

function readout(
    series: readonly Series[],
    index: number,
    format: (value: number) => string,
): string {
    return series.map((one) => `${one.label} ${cell(one.values[index], format)}`).join(', ');
}

function showCursor(plot: uPlot | null, index: number): void {
    const x = plot?.data[0][index];
    if (plot && x !== undefined) {
        plot.setCursor({ left: plot.valToPos(x, 'x'), top: plot.over.clientHeight / 2 }, false);
    }
}

// uPlot wants seconds and one column per series. Stacked charts are drawn from the top down, so that
// each lower bar covers the part of the higher one that is not its own.
function columnsOf({ kind, starts, series }: ChartProps): uPlot.AlignedData {
    const x = starts.map((start) => start / 1000);
    const columns =
        kind === 'stacked' ? stack(series).reverse() : series.map((one) => one.values.slice());
    return [x, ...columns] as uPlot.AlignedData;
}

function usePlot(
    host: { readonly current: HTMLDivElement | null },
    props: ChartProps,
    onCursor: (index: number | null) => void,
): { current: uPlot | null } {
    const plot = useRef<uPlot | null>(null);
    const palette = useStore(paletteStore);
    const latest = useRef(props);
    latest.current = props;
    const shape = `${props.kind} ${props.series.map((one) => `${one.key}:${one.colour}`).join(' ')}`;

    useEffect(() => {
        const element = host.current;
        if (element === null) {
            return undefined;
        }
        const created = new uPlot(
            optionsFor(element, latest, onCursor),
            columnsOf(latest.current),
            element,
        );
        plot.current = created;
        const resize = new ResizeObserver(() => {
            created.setSize({ width: element.clientWidth, height: element.clientHeight });
        });
        resize.observe(element);
        return () => {
            resize.disconnect();
            created.destroy();
            plot.current = null;
        };
    }, [shape, palette]);

    useEffect(() => {
        plot.current?.setData(columnsOf(props));
    }, [props.starts, props.series, shape, palette]);

    return plot;
}

function optionsFor(
    element: HTMLElement,
    latest: { readonly current: ChartProps },
    onCursor: (index: number | null) => void,
): uPlot.Options {
    const { kind, series } = latest.current;
    const colours = paletteOf(element);
    const drawn = kind === 'stacked' ? series.toReversed() : series;
    return {
        width: Math.max(1, element.clientWidth),
        height: Math.max(1, element.clientHeight),
        padding: [10, 18, 0, 0],
        legend: { show: false },
        cursor: {
            y: false,
            drag: { x: false, y: false },
            points: { show: kind === 'lines', size: 7, width: 2 },
        },
        scales: {
            x: { time: true, range: () => xRange(latest.current) },
            y: {
                range: () => {
                    const { from, to } = scaleOf(latest.current);
                    return [from, to];
                },
            },
        },
        axes: [timeAxis(colours), valueAxis(colours, latest)],
        series: [
            {},
            ...drawn.map((one) => {
                const stroke = colours.series(one.colour);
                return kind === 'stacked'
                    ? barSeries(stroke)
                    : lineSeries(stroke, drawn.length === 1);
            }),
        ],
        hooks: {
            setCursor: [
                (plot) => {
                    const index =
                        plot.cursor.left === undefined || plot.cursor.left < 0
                            ? null
                            : plot.cursor.idx;
                    onCursor(index ?? null);
                },
            ],
        },
    };
}

function barSeries(colour: string): uPlot.Series {
    const bars = uPlot.paths.bars;
    return {
        fill: colour,
        width: 0,
        points: { show: false },
        ...(bars === undefined ? {} : { paths: bars({ size: [0.72, 22], radius: 0 }) }),
    };
}

function lineSeries(colour: string, isAlone: boolean): uPlot.Series {
    return {
        stroke: colour,
        width: 2,
        points: { show: false },
        spanGaps: false,
        ...(isAlone ? { fill: translucent(colour) } : {}),
    };
}

// Computed colours come as rgb(r, g, b).
function translucent(colour: string): string {
    return colour.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.12)');
}

// The whole window, also when the server has not run that long. Bars get half a bin of room on both
// sides, which keeps the outer ones whole.
function xRange({ kind, starts, windowMs }: ChartProps): [number, number] {
    const last = starts.at(-1) ?? Date.now();
    const binMs = last - (starts.at(-2) ?? last);
    const room = kind === 'stacked' ? binMs / 2 : 0;
    return [(last - windowMs + binMs - room) / 1000, (last + room) / 1000];
}

// A tall chart has room for five grid lines, a low one for three.
function scaleOf({
    kind,
    series,
    fromZero = true,
    wholeNumbers = false,
    height,
}: ChartProps): Scale {
    const columns = kind === 'stacked' ? stack(series) : series.map((one) => one.values);
    const low = fromZero ? 0 : smallest(columns);
    const parts = (height ?? defaultHeight) >= 140 ? 4 : 2;
    return evenScale(low, largest(columns), parts, wholeNumbers);
}

interface Colours {
    readonly text: string;
    readonly grid: string;
    readonly font: string;
    series(index: number): string;
}

// Canvas needs resolved colours; custom properties with light-dark() resolve only through an element.
function paletteOf(element: HTMLElement): Colours {
    const probe = document.createElement('span');
    probe.hidden = true;
    element.append(probe);
    const resolve = (property: string) => {
        probe.style.color = `var(${property})`;
        return getComputedStyle(probe).color;
    };
    const text = resolve('--ink-soft');
    const grid = resolve('--line-soft');
    const colours = [1, 2, 3, 4, 5].map((index) => resolve(`--series-${index}`));
    probe.remove();
    const { fontFamily } = getComputedStyle(element);
    return {
        text,
        grid,
        font: `11px ${fontFamily}`,
        series: (index) => colours[index - 1] ?? text,
    };
}

function timeAxis(colours: Colours): uPlot.Axis {
    return {
        stroke: colours.text,
        font: colours.font,
        grid: { show: false },
        ticks: { stroke: colours.grid, width: 1, size: 4 },
        space: 64,
        size: 28,
        gap: 4,
        values: (_plot, splits) => splits.map((split) => formatShortClock(split * 1000)),
        incrs: [60, 120, 300, 600, 900],
    };
}

function valueAxis(colours: Colours, latest: { readonly current: ChartProps }): uPlot.Axis {
    return {
        stroke: colours.text,
        font: colours.font,
        grid: { stroke: colours.grid, width: 1 },
        ticks: { show: false },
        gap: 6,
        splits: () => [...scaleOf(latest.current).lines],
        size: (_plot, values) =>
            14 + 6.4 * Math.max(2, ...(values ?? []).map((value) => value.length)),
        values: (_plot, splits) => splits.map((split) => latest.current.format(split)),
    };
}
