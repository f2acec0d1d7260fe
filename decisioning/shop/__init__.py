"""A small shop that asks this engine as any client would: served under `/demo/` where `DEMO_SHOP` is set.

Pages are made by the server from the demo's real departments and products; what fills their slots comes from
`/v1/decide` through the widget, and what visitors do goes to `/v1/track`. It lets anybody become any customer, so it
is for demos and refused in production.
"""
