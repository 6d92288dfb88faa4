// A small button that tells what a figure means. The text is anchored to the nearest .explainable, on
// narrow screens to the bottom of the window; Escape, a click elsewhere or losing focus closes it.
import { useEffect, useId, useRef, useState } from 'preact/hooks';

export function Explain({ about, children }: { about: string; children: string }) {
    const [open, setOpen] = useState(false);
    const id = useId();
    const wrapper = useRef<HTMLSpanElement>(null);

    useEffect(() => {
        if (!open) {
            return undefined;
        }
        const onPointer = (event: PointerEvent) => {
            if (event.target instanceof Node && !wrapper.current?.contains(event.target)) {
                setOpen(false);
            }
        };
        document.addEventListener('pointerdown', onPointer);
        return () => document.removeEventListener('pointerdown', onPointer);
    }, [open]);

    return (
        <span
            class="explain"
            ref={wrapper}
            onKeyDown={(event) => {
                if (event.key === 'Escape') {
                    setOpen(false);
                }
            }}
            onFocusOut={(event) => {
                const next = event.relatedTarget;
                if (!(next instanceof Node && wrapper.current?.contains(next))) {
                    setOpen(false);
                }
            }}
        >
            <button
                type="button"
                class="explain-button"
                aria-label={`What is “${about}”?`}
                aria-expanded={open}
                aria-controls={id}
                title={children}
                onClick={() => setOpen(!open)}
            >
                ?
            </button>
            <span class="explain-text" id={id} role="note" hidden={!open}>
                {children}
            </span>
        </span>
    );
}
