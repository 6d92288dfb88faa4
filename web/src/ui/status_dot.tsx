// A coloured dot with the word that says the same.
import type { ComponentChildren } from 'preact';

export function StatusDot(props: {
    tone: 'good' | 'notice' | 'warning' | 'plain';
    children: ComponentChildren;
}) {
    return (
        <span class="status" data-tone={props.tone}>
            <span class="status-dot" aria-hidden="true" />
            {props.children}
        </span>
    );
}
