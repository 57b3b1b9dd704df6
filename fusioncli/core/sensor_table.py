"""The figures of every sensor: bands, PAN weights, MTF gains, bit depths. `sensors.py` reads this table.

One block per sensor: a head line `name | title | bit depth | ratio | MS pixel (m) | aliases` (twins share a
block), then one column per band in the order of delivery, the PAN last. `-` means unknown or absent, `*` any
number of bands. `nm` is the published pass band, `mtf` the gain at the Nyquist frequency of the band's own
sampling, `weight` the share of the band in the PAN (relative figures). `code` is the producer's name of a
band; without that row the codes are B1, B2 and so on.

Sources named in the table:
    TB: gains of the toolbox of Vivone et al., "A New Benchmark Based on Recent Advances in Multispectral
        Pansharpening", IEEE GRSM 9(1), 2021.
    AP: the per-sensor weights of ArcGIS Pro's pansharpening, as listed in the public code of `sertit/eosets`.
    ES: Esri, "Fundamentals of panchromatic sharpening": suggested Gram-Schmidt weights.
    PP: Parente and Pepe, "Influence of the weights in IHS and Brovey methods for pan-sharpening WorldView-3
        satellite images", IJET 6(3), 2017.
    UP: the weights of UP42's pansharpening block for SPOT 6/7.
    assumed: nothing published was found; 0.3 (MS), 0.15 (PAN), equal weights over the bands the PAN covers.
"""

from __future__ import annotations

TABLE = """
WV2 | WorldView-2 | 11 | 4 | 1.84 | WV02, WorldView 2
band    coastal     blue    green   yellow      red red_edge     nir1     nir2      pan
nm      400-450  450-510  510-580  585-625  630-690  705-745  770-895 860-1040  450-800
mtf        .35      .35      .35      .35      .35      .35      .35      .27      .11
weight     .005     .142     .209     .144     .234     .157     .116    0
source  gains TB; weights PP, published for WorldView-3, whose bands are the same

WV3 | WorldView-3 | 11 | 4 | 1.24 | WV03, WorldView 3
band    coastal     blue    green   yellow      red red_edge     nir1     nir2      pan
nm      400-450  450-510  510-580  585-625  630-690  705-745  770-895 860-1040  450-800
mtf        .325     .355     .360     .350     .365     .360     .335     .315     .14
weight     .005     .142     .209     .144     .234     .157     .116    0
source  gains TB (others use .5 for the PAN); weights PP

WV4 | WorldView-4 | 11 | 4 | 1.24 | WV04, WorldView 4
band       blue    green      red      nir      pan
nm      450-510  510-580  655-690  780-920  450-800
mtf        .23      .23      .23      .23      .16
weight     .20      .25      .38      .16
source  gains TB (another public table gives WorldView-3's); weights AP

GE1 | GeoEye-1 | 11 | 4 | 1.64 | GE01, GeoEye 1, GeoEye
band       blue    green      red      nir      pan
nm      450-510  510-580  655-690  780-920  450-800
mtf        .23      .23      .23      .23      .16
weight     .13      .16      .41      .30
source  gains TB; weights AP

QB | QuickBird | 11 | 4 | 2.44 | QB02, QuickBird 2
band       blue    green      red      nir      pan
nm      450-520  520-600  630-690  760-900  450-900
mtf        .34      .32      .30      .22      .15
weight     .35      .70      .85     1.00
source  gains TB; weights AP and ES

IKONOS | IKONOS | 11 | 4 | 4 | IK, IK01, IKONOS 2
band       blue    green      red      nir      pan
nm      445-516  506-595  632-698  757-853  526-929
mtf        .26      .28      .29      .28      .17
weight     .35      .65      .85      .90
source  gains TB; weights ES

GF2 | Gaofen-2 | 10 | 4 | 3.24 | GF02, Gaofen 2
band       blue    green      red      nir      pan
nm      450-520  520-590  630-690  770-890  450-900
mtf        .30      .30      .30      .30      .15
weight    1        1        1        1
source  gains assumed, none are published (IKONOS's are also in use); weights assumed, the PAN covers all four

PLEIADES | Pléiades 1A/1B | 12 | 4 | 2 | PHR, PHR 1A, PHR 1B, Pleiades 1A, Pleiades 1B, Pleiades 1
code         B2       B1       B0       B3
band        red    green     blue      nir      pan
nm      590-710  500-620  430-550  740-940  470-830
mtf        .30      .30      .30      .30      .15
weight     .90      .75      .50      .50
source  MS gains from a public table, PAN gain assumed; weights AP; delivered red first

PNEO | Pléiades Neo | 12 | 4 | 1.2 | PNEO 3, PNEO 4, PHR Neo, Pleiades Neo 3, Pleiades Neo 4
code          R        G        B      NIR       RE       DB
band        red    green     blue      nir red_edge coastal      pan
nm      620-690  530-590  450-520  770-880  700-750  400-450  450-800
mtf        .30      .30      .30      .30      .30      .30      .15
weight     .90      .75      .50      .50     0        0
source  gains assumed; weights AP, which gives none to the red edge and deep blue; delivered red first

SPOT6 | SPOT 6 | 12 | 4 | 6 | SPOT 6
SPOT7 | SPOT 7 | 12 | 4 | 6 | SPOT 7, Azersky
code         B2       B1       B0       B3
band        red    green     blue      nir      pan
nm      625-695  530-590  450-520  760-890  450-745
mtf        .30      .30      .30      .30      .15
weight     .24      .20      .24     0
source  gains assumed; weights UP (AP's count the NIR, which the PAN does not cover); delivered red first

LANDSAT7 | Landsat 7 ETM+ | 8 | 2 | 30 | Landsat 7, L7, LE07
code         B1       B2       B3       B4       B5       B7
band       blue    green      red      nir    swir1     swir2      pan
nm      450-520  520-600  630-690  770-900 1550-1750 2090-2350 520-900
mtf        .30      .30      .30      .30      .30      .30      .15
weight     .14      .14      .11      .61     0        0
source  gains assumed; weights AP

LANDSAT8 | Landsat 8 OLI | 16 | 2 | 30 | Landsat 8, L8, LC08, LO08
LANDSAT9 | Landsat 9 OLI-2 | 16 | 2 | 30 | Landsat 9, L9, LC09, LO09
code         B1       B2       B3       B4       B5       B6       B7
band    coastal     blue    green      red      nir    swir1     swir2      pan
nm      435-451  452-512  533-590  636-673  851-879 1566-1651 2107-2294 503-676
mtf        .55      .55      .55      .55      .53      .53      .53      .15
weight    0        .07      .51      .42     0        0        0
source  MS gains of blue to NIR as measured on the Moon by Lee et al. 2014, their neighbours' elsewhere;
source  PAN gain assumed; weights AP; 12 and 14 bit data are delivered scaled to 16

SENTINEL2 | Sentinel-2 MSI | 16 | 2 | 20 | Sentinel-2, Sentinel-2A, Sentinel-2B, Sentinel-2C, S2A, S2B, S2C
code        B02      B03      B04       B05       B06       B07      B08      B8A       B11       B12
band       blue    green      red red_edge1 red_edge2 red_edge3      nir nir_narrow   swir1     swir2      pan
nm      459-525  542-578  649-680   697-712   733-748   773-793  780-886  854-875 1568-1659 2115-2290        -
mtf        .30      .30      .30      .30       .30       .30       .30      .30       .30       .30       .15
weight    1        1        1        1         1         1         1        1         1         1
source  pass bands of Sentinel-2A; gains assumed; no PAN of its own: the ratio is that of its 20 m to its 10 m bands

PRISMA | PRISMA | 16 | 6 | 30 | PRS, Prisma HS
band          *      pan
nm            -  400-700
mtf        .30      .20
weight    1
source  gains of a hyperspectral pansharpening toolbox (.28 and .22 are also in use); equal weights

ENMAP | EnMAP HSI | 16 | 3 | 30 | EnMAP 01, EnMAP HSI
band          *      pan
nm            -        -
mtf        .30      .15
weight    1
source  gain assumed; no PAN of its own: the ratio is that to a 10 m image such as Sentinel-2's

GENERIC | unknown sensor | 16 | 4 | nan | none, unknown
band          *      pan
nm            -        -
mtf        .30      .15
weight    1
source  everything assumed
"""
