// A sample as it is shown: a picture, or a clip that plays while it is in sight.

import { element } from "./dom.js";

/** A picture, or a clip that plays without sound again and again; in little room its controls show while it is used. */
export function mediaOf(sample, { address, name, isSmall = false }) {
  if (sample.type === "image") return element("img", { src: address, alt: name, loading: "lazy" });
  const video = element("video", { src: address, "aria-label": name, controls: !isSmall, loop: true, playsinline: true, preload: isSmall ? "none" : "auto", tabindex: 0 });
  video.muted = true; // the attribute alone does not mute an element that a script has made
  if (isSmall) {
    for (const kind of ["pointerenter", "focus"]) video.addEventListener(kind, () => (video.controls = true));
    for (const kind of ["pointerleave", "blur"]) video.addEventListener(kind, () => (video.controls = false));
  }
  return video;
}

/** Clips play while they are in sight, unless a person has stopped them: {watch(video), forget()}. */
export function playWhatIsSeen() {
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) target.play().catch(() => {}); // a browser that forbids it leaves the controls
      else target.pause();
    }
  });
  return { watch: (video) => seen.observe(video), forget: () => seen.disconnect() };
}
