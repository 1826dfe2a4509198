// Keeps a page of the console true while it is shown. htmx fetches the page again and patches what
// differs; this file spares what a person is at, keeps times counting, and says when the page is old.
(() => {
  const staleAfter = 45e3, idleAfter = 30e3
  const live = () => document.getElementById('live')
  let updated = Date.now(), skew = 0, source = null, anchor = null, waits = false, down = false
  let moved = Date.now() // the pointer, or what has the focus

  const filled = form => [...form.elements].some(e =>
    e.matches('textarea,input:not([type=hidden])') ? e.value !== e.defaultValue :
    e.matches('select') && [...e.options].some(o => o.selected !== o.defaultSelected))
  const at = e => e.matches('li[id],form') && e.matches(':hover,:focus-within')
  // busy: a person has opened or filled in e, or points at it and has not left. After an action of theirs,
  // only what they have filled in otherwise is spared.
  const busy = e => source ? e !== source && e.matches('form') && filled(e) :
    e.matches('details[open]') || e.matches('form') && filled(e) || at(e) && Date.now() - moved < idleAfter

  htmx.registerExtension('live', {
    htmx_before_morph_node: (old, {newNode}) => {
      if (!(old instanceof Element)) return true
      // A result stays until the page that it is about has changed again.
      if (!source && old.dataset.version && old.dataset.version === newNode.dataset.version && old.querySelector('.result')) return false
      return !busy(old)
    },
    // What a person has opened stays open, except the action that they have carried out.
    htmx_before_morph_attr: (e, {attrName}) => attrName !== 'open' || !source || e.contains(source),
  })

  // keep puts what a person is at into a fragment that no longer has it; false if there is no place for it.
  const keep = fragment => [...live().querySelectorAll('[id]')].every(e => {
    if (!busy(e) || fragment.querySelector('#' + CSS.escape(e.id))) return true
    const list = e.parentElement.id && fragment.querySelector('#' + CSS.escape(e.parentElement.id))
    if (!list) return false
    list.insertBefore(e.cloneNode(true), list.children[[...e.parentElement.children].indexOf(e)] ?? null)
    return true
  })

  document.addEventListener('htmx:before:swap', event => {
    const {ctx, tasks} = event.detail
    if (ctx.sourceElement?.id === 'events') return event.preventDefault()
    const fragment = tasks[0]?.fragment
    if (ctx.select !== '#live') { // a part of the page, such as the text of the playground
      if (!fragment?.querySelector(ctx.select)) event.preventDefault()
      return
    }
    source = ctx.sourceElement?.matches('form') ? ctx.sourceElement : null
    waits = false
    if (!fragment?.querySelector('#live') || !source && (waits = down || !keep(fragment))) return event.preventDefault()
    const e = [...live().querySelectorAll('li[id],form,details[open]')].find(e => busy(e) || at(e))
    anchor = e && {e, top: e.getBoundingClientRect().top}
  })

  for (const type of ['pointerdown', 'pointerup', 'pointercancel', 'pointermove', 'keydown']) {
    document.addEventListener(type, () => {
      moved = Date.now()
      if (type.startsWith('pointer') && type !== 'pointermove') down = type === 'pointerdown'
    }, {capture: true, passive: true})
  }

  document.addEventListener('htmx:after:swap', event => {
    if (event.detail.ctx.select !== '#live') return tick()
    updated = Date.now()
    skew = Date.parse(live().dataset.now) - updated
    if (anchor?.e.isConnected) scrollBy(0, anchor.e.getBoundingClientRect().top - anchor.top)
    if (source) {
      document.querySelector('.result')?.focus()
      if (document.querySelector('.result.is-ok')) source.reset()
    }
    source = anchor = null
    tick()
  })

  const two = (n, unit, rest, small, fine) => n + ' ' + unit + (fine && rest ? ' ' + rest + ' ' + small : '')
  const span = (s, fine) => {
    s = Math.max(0, Math.trunc(s))
    if (s < 60) return s + ' s'
    if (s < 3600) return two(Math.trunc(s / 60), 'min', s % 60, 's', fine)
    if (s < 172800) return two(Math.trunc(s / 3600), 'h', Math.trunc(s % 3600 / 60), 'min', fine)
    return two(Math.trunc(s / 86400), 'days', Math.trunc(s % 86400 / 3600), 'h', fine)
  }
  const words = {
    ago: s => span(s) + ' ago',
    for: s => span(s),
    in: s => s >= 0 ? 'now' : 'in ' + span(-s, true),
    left: s => span(-s) + ' left',
  }
  const put = (e, text) => { if (e.textContent !== text) e.textContent = text }
  const tick = () => {
    const now = Date.now() + skew
    for (const e of document.querySelectorAll('time[data-as]')) {
      put(e, words[e.dataset.as]((now - Date.parse(e.dateTime)) / 1000).replaceAll(' ', '\u00a0'))
    }
    const stale = document.getElementById('stale'), age = Date.now() - updated
    const old = live().hasAttribute('hx-get') && age > staleAfter
    stale.hidden = !old
    if (old) put(stale, 'This page is ' + span(age / 1000) + ' old: ' + (waits ? 'updates wait until you have finished.' : 'smspager does not respond.'))
  }
  document.addEventListener('DOMContentLoaded', () => {
    skew = Date.parse(live().dataset.now) - Date.now()
    setInterval(tick, 1000)
  })
})()
