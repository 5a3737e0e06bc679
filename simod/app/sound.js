/** The wall's alarm: two alternating tones. Browsers allow sound only after a tap. */

/** Seconds from one alarm to the next. */
const EVERY = 2.5;

export function alarm() {
    /** @type {AudioContext | null} */
    let context = null;
    let timer = 0;

    const sound = () => {
        if (!context) return;
        for (const [at, pitch] of [[0, 880], [0.25, 660], [0.5, 880], [0.75, 660]]) {
            const from = context.currentTime + at;
            const tone = new OscillatorNode(context, { frequency: pitch, type: "square" });
            const volume = new GainNode(context, { gain: 0 });
            // Without a ramp it clicks.
            volume.gain.setValueAtTime(0, from);
            volume.gain.linearRampToValueAtTime(0.3, from + 0.02);
            volume.gain.setValueAtTime(0.3, from + 0.2);
            volume.gain.linearRampToValueAtTime(0, from + 0.24);
            tone.connect(volume).connect(context.destination);
            tone.start(from);
            tone.stop(from + 0.25);
        }
    };

    return {
        /** To be called from a tap. */
        async allow() {
            context ??= new AudioContext();
            await context.resume();
        },
        forbid() {
            void context?.close();
            context = null;
        },
        isAllowed: () => context?.state === "running",
        /** @param {boolean} on */
        ring(on) {
            if (on && !timer) {
                sound();
                timer = setInterval(sound, EVERY * 1000);
            } else if (!on) {
                clearInterval(timer);
                timer = 0;
            }
        },
    };
}
