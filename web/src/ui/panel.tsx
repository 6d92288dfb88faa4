// The building blocks of every page: sections with a heading, panels within them, figures and facts.
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { Explain } from './explain.tsx';

export function Section(props: {
    id: string;
    title: string;
    lead?: string;
    aside?: ComponentChildren;
    children: ComponentChildren;
}) {
    const heading = useId();
    return (
        <section class="section" id={props.id} aria-labelledby={heading} tabIndex={-1}>
            <header class="section-head">
                <div>
                    <h2 id={heading}>{props.title}</h2>
                    {props.lead !== undefined && <p class="section-lead">{props.lead}</p>}
                </div>
                {props.aside}
            </header>
            <div class="section-grid">{props.children}</div>
        </section>
    );
}

export function Panel(props: {
    title: string;
    explanation?: string;
    span?: 'half' | 'wide' | 'narrow' | 'full';
    aside?: ComponentChildren;
    children: ComponentChildren;
}) {
    return (
        <div class={`panel explainable span-${props.span ?? 'half'}`}>
            <header class="panel-head">
                <h3>{props.title}</h3>
                {props.explanation !== undefined && (
                    <Explain about={props.title}>{props.explanation}</Explain>
                )}
                {props.aside !== undefined && <div class="panel-aside">{props.aside}</div>}
            </header>
            {props.children}
        </div>
    );
}

export type Tone = 'plain' | 'good' | 'notice' | 'warning' | 'critical';

export function Figure(props: {
    label: string;
    value: string;
    unit?: string;
    tone?: Tone;
    explanation?: string;
    testId?: string;
}) {
    return (
        <div class="figure explainable" data-tone={props.tone ?? 'plain'}>
            <dt>
                {props.label}
                {props.explanation !== undefined && (
                    <Explain about={props.label}>{props.explanation}</Explain>
                )}
            </dt>
            <dd data-testid={props.testId}>
                <span class="figure-value">{props.value}</span>
                {props.unit !== undefined && <span class="figure-unit">{props.unit}</span>}
            </dd>
        </div>
    );
}

export function Figures({ children }: { children: ComponentChildren }) {
    return <dl class="figures">{children}</dl>;
}

// A name with its value. `detail` is about the value and stands below it; `hint` is about the name.
export function Fact(props: {
    label: string;
    value: string;
    detail?: string;
    hint?: string;
    tone?: Tone;
    explanation?: string;
    testId?: string;
}) {
    return (
        <div class="fact explainable" data-tone={props.tone ?? 'plain'}>
            <dt>
                <span class="fact-label">
                    {props.label}
                    {props.explanation !== undefined && (
                        <Explain about={props.label}>{props.explanation}</Explain>
                    )}
                </span>
                {props.hint !== undefined && <span class="fact-detail">{props.hint}</span>}
            </dt>
            <dd>
                <span class="fact-value" data-testid={props.testId}>
                    {props.value}
                </span>
                {props.detail !== undefined && <span class="fact-detail">{props.detail}</span>}
            </dd>
        </div>
    );
}

export function Facts({ children }: { children: ComponentChildren }) {
    return <dl class="facts">{children}</dl>;
}
